//! A full stream through `run --until-end`, against the same records through `replay`, and against reading the
//! stream and doing nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::StreamViewType;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use streamdex_testkit::engines::{Dynoxide, dynamodb_client, streams_client};
use streamdex_testkit::workload::{EVENT_TIME, Item, Sessions, create_sessions_table};

use crate::child::{self, Run};
use crate::search::{Bench, config_text};
use crate::statistics::{median, median_ratio, spread};

const TABLE: &str = "sessions";

/// Writers that fill the table at once.
const WRITERS: usize = 16;

/// Creation times are whole seconds, so the record that marks the end comes in a later one than the start.
const SENTINEL_AFTER: Duration = Duration::from_secs(2);

/// Measures and prints. `replay` holds the seconds that the same records took out of a file.
pub(crate) async fn run(bench: &Bench, rounds: usize, replay: Vec<f64>) -> anyhow::Result<()> {
    let dynoxide = Dynoxide::start()?;
    let endpoint = dynoxide.endpoint_url();
    let client = dynamodb_client(&endpoint);
    // The last of the documents is the one that marks the end of each run.
    let before = bench.documents - 1;
    let stream_arn = fill(&client, before).await?;
    let (mut drain, mut runs, mut peak) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        drain.push(drain_stream(&endpoint, &stream_arn, before + u32::try_from(round)?).await?);
        bench.fresh_index().await?;
        let config = bench.folder.join("poller.toml");
        // A group of its own for each round, so that each begins at the trim horizon.
        let text = format!(
            "{}\n[state]\ngroup = \"round-{round}\"\n",
            config_text(&bench.node.url(), Some(&endpoint), "sessions")
        );
        std::fs::write(&config, text)?;
        let sentinel = Sessions::new(u64::try_from(round)?, EVENT_TIME).item(Sessions::key_of(u32::MAX, 0));
        let Run { seconds, peak_megabytes } = run_to_the_end(&client, &config, sentinel).await?;
        bench.expect_documents().await?;
        runs.push(seconds);
        peak = peak.max(peak_megabytes);
    }
    let rate = |seconds: f64| f64::from(bench.documents) / seconds;
    println!("## Poller: a stream of {} records (dynoxide, in process) into OpenSearch 3.8.0\n", bench.documents);
    println!("| contender | records/s (median) | ratio of `run` to it | peak memory |");
    println!("|---|---|---|---|");
    println!(
        "| reading the stream alone | {:.0} | {:.2} ({}) | – |",
        rate(median(&drain)),
        median_ratio(&drain, &runs),
        spread(&drain, &runs)
    );
    println!(
        "| `streamdex replay --images` of as many records | {:.0} | {:.2} ({}) | – |",
        rate(median(&replay)),
        median_ratio(&replay, &runs),
        spread(&replay, &runs)
    );
    println!(
        "| `streamdex run --until-end`, from process start to exit | {:.0} | 1 | {peak} MB |\n",
        rate(median(&runs))
    );
    Ok(())
}

/// Puts the items; the stream then holds one record for each.
async fn fill(client: &Client, count: u32) -> anyhow::Result<String> {
    let table = create_sessions_table(client, TABLE, StreamViewType::NewAndOldImages).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = client.clone();
            let numbers = (0..count).skip(writer).step_by(WRITERS);
            tokio::spawn(async move {
                let mut sessions = Sessions::new(u64::try_from(writer)?, EVENT_TIME);
                for number in numbers {
                    put(&client, sessions.item(Sessions::key_of(number % 5000, number))).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok(table.stream_arn)
}

async fn put(client: &Client, item: Item) -> anyhow::Result<()> {
    client.put_item().table_name(TABLE).set_item(Some(item.into_iter().collect())).send().await?;
    Ok(())
}

/// Runs to the end, which a record created after the start marks: without one, the run would watch empty pages for
/// two seconds before it believes that this is the end.
async fn run_to_the_end(client: &Client, config: &Path, sentinel: Item) -> anyhow::Result<Run> {
    let config = config.to_owned();
    let run = tokio::task::spawn_blocking(move || child::run(&config, &["run", "--until-end"], None));
    tokio::time::sleep(SENTINEL_AFTER).await;
    put(client, sentinel).await?;
    run.await?
}

/// Reads the whole stream with the SDK, and counts; seconds.
async fn drain_stream(endpoint: &str, stream_arn: &str, count: u32) -> anyhow::Result<f64> {
    let client = streams_client(endpoint);
    let started = Instant::now();
    let described = client.describe_stream().stream_arn(stream_arn).send().await?;
    let shards = described.stream_description.context("no description")?.shards.unwrap_or_default();
    let shard = shards.first().and_then(|shard| shard.shard_id()).context("no shard")?;
    let iterator = client.get_shard_iterator().stream_arn(stream_arn).shard_id(shard);
    let mut iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?.shard_iterator;
    let mut read = 0;
    while read < usize::try_from(count)? {
        let page = client.get_records().set_shard_iterator(iterator).send().await?;
        read += page.records().len();
        iterator = page.next_shard_iterator;
    }
    Ok(started.elapsed().as_secs_f64())
}
