//! `streamdex run`: follows the stream of one table.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamdex_config::{Config, Source, TableReference, key_mismatches};
use streamdex_mapping::Mapper;
use streamdex_poller::AwsError;
use streamdex_poller::aws::SourceClients;
use streamdex_poller::clock::SystemClock;
use streamdex_poller::deliver::Delivery;
use streamdex_poller::follow::{
    FollowEnd, Followed, Follower, Parts, Settings, Status, StatusBoard, generations, sole_index,
};
use streamdex_poller::graph::Until;
use streamdex_poller::item::BatchGetReader;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::{StateError, StreamState};
use streamdex_poller::stream::SdkStream;
use streamdex_poller::table::{TableError, TableInfo, check_view, sole_source};
use streamdex_sink::index::TableFacts;
use streamdex_sink::{BulkWriter, Client, Indices, Patience, SetupContext, WriterSettings};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::args::{Global, RunArgs};
use crate::exit::{CliError, Exit};
use crate::progress::{Progress, with_outcomes};
use crate::serve::Shown;
use crate::summary::Summary;
use crate::{connect, settings, signals};

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// `--until-end` gives up after so long without progress.
const WITHOUT_PROGRESS: Duration = Duration::from_secs(60);

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: RunArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let source = sole_source(&config)?;
    let stop = CancellationToken::new();
    signals::cancel_on_signals(stop.clone())?;
    let until = if arguments.until_end { Until::PresentEnd } else { Until::Stopped };
    let started = Instant::now();
    let mut shown = Shown::start(arguments.listen.or(config.http.listen)).await?;
    let prepared = tokio::select! {
        prepared = Box::pin(prepare(&config, source, until, &mut shown)) => prepared?,
        () = stop.cancelled() => return Ok(Exit::Done),
    };
    let Prepared { follower, writing } = prepared;
    let board = follower.board();
    let progress = show_progress(&board, until, Duration::from_secs(arguments.report_every.get()));
    let followed = Box::pin(follower.run(stop)).await;
    progress.abort();
    // Only now: a page in hand at the stop was to be written to its end.
    writing.cancel();
    let status = match &followed {
        Ok(followed) => followed.status.clone(),
        Err(_) => board.snapshot(),
    };
    if until == Until::PresentEnd {
        Summary::new(status.tally, status.undecided, started.elapsed()).print(global.json)?;
    } else {
        with_outcomes!(status.tally, undecided = status.undecided, "stopped");
    }
    finish(followed?, until)
}

fn finish(followed: Followed, until: Until) -> Result<Exit, CliError> {
    let Followed { end, status } = followed;
    match end {
        FollowEnd::Stopped => Ok(Exit::Done),
        FollowEnd::PresentEnd if until == Until::PresentEnd => {
            Ok(Summary::new(status.tally, status.undecided, Duration::ZERO).exit())
        }
        FollowEnd::PresentEnd => Ok(Exit::Done),
        FollowEnd::OnlyGaps => {
            let gaps: Vec<String> = status.gaps.iter().map(ToString::to_string).collect();
            let message = format!("nothing is left to follow but gaps: {}", gaps.join("; "));
            let hint = status.gaps.first().map_or("look at the log for the gap", |gap| gap.kind.hint());
            Err(CliError::new(Exit::Gapped, message).with_hint(hint))
        }
    }
}

struct Prepared {
    follower: Follower,
    /// Ends the writer.
    writing: CancellationToken,
}

async fn prepare(config: &Config, source: &Source, until: Until, shown: &mut Shown) -> Result<Prepared, CliError> {
    let patience = (until == Until::PresentEnd).then_some(connect::PATIENCE);
    let clients = SourceClients::connect(source).await;
    let describe = || Box::pin(TableInfo::describe(&clients, source));
    let info = connect::insist(patience, table_can_pass, describe).await?;
    check(source, &info)?;
    let state = connect::state_table(config).await;
    connect::insist(patience, state_can_pass, || Box::pin(state.ensure(&info.arn))).await?;

    let client = Client::connect(&config.opensearch, &config.aws).await?;
    shown.watch(client.clone());
    let facts = TableFacts { arn: Some(info.arn.clone()), id: info.id.clone(), key_attributes: info.keys.clone() };
    let context = SetupContext::new().with_table(source.name.clone(), facts);
    let indices = Arc::new(Indices::new(client.clone(), config, &context));
    let endless = until == Until::Stopped;
    let writer_patience = if endless { Patience::Endless } else { Patience::one_shot() };
    if !endless {
        connect::opensearch(&indices).await?;
    }
    let writing = CancellationToken::new();
    let writer_settings = WriterSettings::new(&config.opensearch, writer_patience);
    let writer = BulkWriter::start(client, indices.clone(), writer_settings, writing.clone());
    shown.boards.add_writer(writer.clone());
    let delivery = Delivery {
        table: info.table.clone(),
        mapper: Arc::new(Mapper::new(source.routes.clone())),
        reader: Some(Arc::new(BatchGetReader::new(clients.dynamodb.clone(), info.table.clone()))),
        indices: indices.clone(),
        writer,
        letters: connect::letters(config).await,
        patience: writer_patience,
        progressed: false.into(),
    };
    let generations = generations(config, source);
    // A stream that is named by its ARN is followed as that one; a table's is asked for now and then.
    let table = matches!(source.table, TableReference::Name(_)).then(|| info.table.clone());
    let parts = Parts {
        source: Arc::new(SdkStream::new(clients, info.stream.arn.clone(), table)),
        deliver: Arc::new(delivery),
        store: Arc::new(StreamState::new(state, &info.arn, &info.stream.label, generations.clone(), worker())),
        indices,
        clock: Arc::new(SystemClock::default()),
    };
    let settings = Settings {
        stream_arn: info.stream.arn,
        start: source.start,
        until,
        generations,
        sole_index: sole_index(source),
        freshness: source.freshness,
        patience: (!endless).then_some(WITHOUT_PROGRESS),
        seed: random(),
    };
    tracing::info!(table = info.table, stream = info.stream.label, view = info.stream.view.name(), "following");
    let follower = Follower::new(parts, settings);
    shown.boards.add(&source.name, follower.board());
    Ok(Prepared { follower, writing })
}

/// What the table tells about the configuration.
fn check(source: &Source, info: &TableInfo) -> Result<(), CliError> {
    check_view(source, info)?;
    for route in &source.routes {
        if let Some(mismatch) = key_mismatches(route, &info.keys).first() {
            let message = format!("the route to {} does not fit the table: {mismatch}", route.index.text());
            let hint = format!("{} (its keys: {})", mismatch.hint(), info.keys.join(", "));
            return Err(CliError::new(Exit::Usage, message).with_hint(hint));
        }
    }
    if !info.stream.enabled {
        tracing::warn!(stream = info.stream.label, "the stream is switched off: it is read to its end");
    }
    if !info.replicas.is_empty() {
        let replicas = info.replicas.join(", ");
        tracing::info!(replicas, "a global table: let one region at a time feed an index");
    }
    Ok(())
}

fn table_can_pass(error: &TableError) -> bool {
    matches!(error, TableError::Aws(error) if passes(error))
}

fn state_can_pass(error: &StateError) -> bool {
    error.aws().is_some_and(passes)
}

fn passes(error: &AwsError) -> bool {
    error.fault().passes_by_itself()
}

/// A task that shows the board's state, until it is aborted.
fn show_progress(board: &StatusBoard, until: Until, lines_every: Duration) -> tokio::task::JoinHandle<()> {
    let board = board.clone();
    let progress = Progress::start(None);
    let mut progress = if until == Until::Stopped { progress.with_lines_every(lines_every) } else { progress };
    tokio::spawn(async move {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let status = board.snapshot();
            progress.set_outcomes(&status.tally, status.lag(), &detail(&status));
        }
    })
}

fn detail(status: &Status) -> String {
    let mut parts = vec![format!("{} shards", status.shards.len())];
    if let Some(lag) = status.lag() {
        parts.push(format!("lag {} s", lag.as_secs()));
    }
    match status.tally.dead_lettered {
        0 => {}
        1 => parts.push("1 dead letter".to_owned()),
        letters => parts.push(format!("{letters} dead letters")),
    }
    parts.extend(status.pauses().first().map(|pause| format!("paused: {pause}")));
    parts.join(", ")
}

/// Another one in each process.
fn worker() -> WorkerId {
    let host = std::env::var("HOSTNAME").ok().filter(|host| !host.is_empty());
    WorkerId::of_process(host.as_deref().unwrap_or("streamdex"), random())
}

/// A new number in each process; the standard library seeds its hashers from the system.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
