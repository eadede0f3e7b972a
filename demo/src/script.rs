//! The script of the demo, from the first line to the last.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::StreamViewType;
use serde_json::{Value, json};
use streamdex_testkit::engines::{Dynoxide, dynamodb_client};
use streamdex_testkit::workload::create_sessions_table;

use crate::choice::Engine;
use crate::cluster::{Cluster, Traces};
use crate::configuration::{self, ARCHIVE, Folder, INDEX, LIVE, TABLE, shown};
use crate::follower::{Follower, Report, Streamdex};
use crate::freshness::Probe;
use crate::load::{Changes, Load, now};
use crate::options::Options;
use crate::verdict::Verdict;
use crate::{awkward, expected, live, second_act};

/// How long the index may need to catch up when the writing stops.
const CATCH_UP: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(30);
/// In seconds.
const MOST_WARM_UP: u64 = 8;

/// Everything that runs.
struct Stage {
    // Dropped first: it follows the others.
    follower: Follower,
    streamdex: Streamdex,
    engine: Engine,
    cluster: Cluster,
    client: Client,
    dynamodb: Dynoxide,
    folder: Folder,
}

/// Runs the demo; whether the index equals the table.
pub(crate) async fn run(options: &Options, traces: &mut Traces) -> anyhow::Result<bool> {
    let stage = Box::pin(set_up(options, traces)).await?;
    let Stage { mut follower, streamdex, engine, cluster, client, dynamodb, folder: _folder } = stage;
    let mut load = Load::new(&client, &dynamodb)?;
    let mut probe = Probe::new(&client, &cluster);
    // The lease, the shard and the first connections take their time, once; freshness is what comes after.
    let took = probe.put_and_see(START).await.context("waiting for the first document")?;
    println!("the first put appeared in the index after {:.1} s", took.as_secs_f64());
    println!("\nwriting to the table for {} s", options.seconds);
    let changes = {
        let writing = Cell::new(true);
        let work = async {
            let changes = load.run(Duration::from_secs(options.seconds)).await;
            writing.set(false);
            changes
        };
        // To its end too: a put that is given up half-way may or may not have been made.
        let sampling = probe.sample_while(&writing, warm_up(options), CATCH_UP);
        let showing = live::show(&mut follower);
        tokio::select! {
            both = async { tokio::try_join!(work, sampling) } => both?.0,
            error = showing => return Err(error),
        }
    };
    // The last put: once it shows, so does nearly everything before it.
    let stopped = Instant::now();
    probe.put_and_see(CATCH_UP).await?;
    let mut verdict = Verdict::default();
    let left = CATCH_UP.saturating_sub(stopped.elapsed());
    let planted = expected::id(&awkward::refused());
    verdict.compare_index(&client, engine.url(), INDEX, |id| id != planted, left).await;
    println!("\nwriting stopped; compared table and index item by item after {:.1} s", stopped.elapsed().as_secs_f64());

    let report = follower.stop().await?;
    // A page that was in hand is written by now.
    verdict.compare_archive(engine.url(), &load.expired()).await;
    verdict.count(&report, changes.total() + probe.puts());
    print_numbers(&changes, &probe, &report, warm_up(options));
    let letters = verdict.look_at_letters(&streamdex).await?;
    println!("\n$ streamdex dlq list\n{}", letters.trim_end());
    print_search(&cluster, &mut verdict).await?;
    let mut equal = print_verdict(&verdict, "1 dead letter (the planted one)");
    let mut last = streamdex;
    if !options.short {
        let (url, dynamodb_url) = (engine.url(), dynamodb.endpoint_url());
        let stage =
            second_act::Stage { client: &client, cluster: &cluster, url, dynamodb_url: &dynamodb_url, first: &last };
        let (streamdex, verdict) = Box::pin(second_act::play(&stage, &mut load)).await?;
        last = streamdex;
        equal &= print_verdict(&verdict, "no dead letter");
    }
    print_own_table();
    if options.keep {
        let log = last.log();
        let _follower = last.follow(&log)?;
        print_places(&engine, &dynamodb, (&last, &log));
        // Ctrl-C drops this future, and everything with it.
        std::future::pending::<()>().await;
    }
    Ok(equal)
}

async fn set_up(options: &Options, traces: &mut Traces) -> anyhow::Result<Stage> {
    let engine = Engine::start(options.engine).await?;
    let cluster = Cluster::new(engine.url())?;
    cluster.insist_on_room().await?;
    if engine.is_foreign() {
        traces.left_in(&cluster);
    }
    let dynamodb = Dynoxide::start()?;
    let client = dynamodb_client(&dynamodb.endpoint_url());
    create_sessions_table(&client, TABLE, StreamViewType::NewAndOldImages).await;
    println!("DynamoDB: {} in this process, table {TABLE} with new and old images and a TTL", Dynoxide::LABEL);

    let folder = Folder::make()?;
    let file = folder.join("streamdex.toml");
    fs::write(&file, configuration::text(&dynamodb.endpoint_url(), engine.url()))
        .context("writing the configuration")?;
    println!("configuration: {}", shown(&file));
    let streamdex = Streamdex::beside_this(&file)?;
    let applied = streamdex.output(&["index", "apply"]).await?;
    println!("\n$ streamdex index apply\n{}", applied.trim_end());
    let log = streamdex.log();
    let mut follower = streamdex.follow(&log)?;
    follower.until_following(START).await?;
    println!("\n$ streamdex run   (its log: {})", shown(&log));
    Ok(Stage { follower, streamdex, engine, cluster, client, dynamodb, folder })
}

/// A new engine compiles its code and learns the fields of the index from the first documents.
fn warm_up(options: &Options) -> Duration {
    Duration::from_secs(options.seconds.div_ceil(3).min(MOST_WARM_UP))
}

fn print_numbers(changes: &Changes, probe: &Probe<'_>, report: &Report, warm_up: Duration) {
    let Changes { sign_ins, updates, sign_outs, expiries, awkward } = changes;
    println!("\nchanges of the table");
    for (kind, count) in [
        ("sign-ins", *sign_ins),
        ("updates", *updates),
        ("sign-outs", *sign_outs),
        ("expiries", *expiries),
        ("awkward items", *awkward),
        ("freshness probes", probe.puts()),
    ] {
        println!("  {count:>7}  {kind}");
    }
    println!("outcomes of {} records", report.records);
    for (outcome, count) in report.outcomes() {
        println!("  {count:>7}  {outcome}");
    }
    if let Some((median, high, samples)) = probe.percentiles() {
        let (median, high) = (median.as_millis(), high.as_millis());
        let warm_up = warm_up.as_secs();
        println!("freshness, from a put to a GET that shows it: p50 {median} ms, p99 {high} ms");
        println!("  ({samples} samples, without the first {warm_up} s, in which a new engine warms up)");
    }
}

/// A search as an application would do it, and what it does not see.
async fn print_search(cluster: &Cluster, verdict: &mut Verdict) -> anyhow::Result<()> {
    let query =
        json!({ "bool": { "filter": [{ "match": { "device": "phone" } }, { "match": { "city": "Dublin" } }] } });
    let body = json!({ "query": query, "size": 1, "sort": [{ "requests": "desc" }], "track_total_hits": true });
    let found = cluster.search(LIVE, body).await?;
    let hits = found.pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or_default();
    println!("\nsearch in {LIVE}: phones in Dublin, the busiest first: {hits} sessions");
    if let Some(source) = found.pointer("/hits/hits/0/_source") {
        let field = |name: &str| source.get(name).map(Value::to_string).unwrap_or_default();
        println!(
            "  first: user_id {}, requests {}, last_page {}",
            field("user_id"),
            field("requests"),
            field("last_page")
        );
    }
    let lingering = json!({ "ids": { "values": [expected::id(&awkward::lingering(now()?))] } });
    let all = cluster.count(INDEX, lingering.clone()).await?;
    let live = cluster.count(LIVE, lingering).await?;
    println!("the session that expired an hour ago and is not deleted yet: {all} in {INDEX}, {live} in {LIVE}");
    if (all, live) != (1, 0) {
        verdict.faults.push(format!("{LIVE} must hide what expired"));
    }
    Ok(())
}

fn print_own_table() {
    println!(
        "\nto do the same with your own table, turn on its stream, and put its name and your OpenSearch into streamdex.toml:"
    );
    println!("  streamdex --config streamdex.toml state create");
    println!("  streamdex --config streamdex.toml index apply");
    println!("  streamdex --config streamdex.toml run");
}

fn print_verdict(verdict: &Verdict, letters: &str) -> bool {
    const SHOWN: usize = 50;
    println!();
    if verdict.faults.is_empty() {
        println!("index equals table: {} items, {letters}", verdict.equal);
        return true;
    }
    println!("index and table differ, {} faults:", verdict.faults.len());
    verdict.faults.iter().take(SHOWN).for_each(|fault| println!("  {fault}"));
    false
}

fn print_places(engine: &Engine, dynamodb: &Dynoxide, (streamdex, log): (&Streamdex, &Path)) {
    println!("\neverything keeps running until Ctrl-C:");
    println!("  OpenSearch  {}  ({}; indices {INDEX}, {LIVE}, {ARCHIVE})", engine.url(), engine.keeper());
    println!("  DynamoDB    {}  (table {TABLE}; any key will do)", dynamodb.endpoint_url());
    println!("  streamdex   {}", shown(log));
    let file = shown(streamdex.configuration());
    println!("try, for example: AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any streamdex -c {file} status");
}
