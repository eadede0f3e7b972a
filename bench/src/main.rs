//! Benchmarks of streamdex, each as a ratio against a reference in the same run.
//!
//! `cargo xtask bench` runs this in the release profile. The machine's speed drifts, so a measurement and its
//! reference take turns, and the median of the ratios is what counts.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bulk;
mod bulk_settings;
mod child;
mod idle;
mod lambda;
mod mapping;
mod memory;
mod poller;
mod records;
mod replay;
mod search;
mod source;
mod statistics;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

const SINK_DOCUMENTS: u32 = 100_000;
const BACKLOG_DOCUMENTS: u32 = 200_000;

/// Benchmarks of streamdex against references in the same run.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_values_t = [Part::Mapping, Part::Sink, Part::Poller, Part::Handover, Part::Idle, Part::Lambda])]
    parts: Vec<Part>,
    /// Documents for the sink (default 100,000) and records for the poller's backlog (default 200,000)
    #[arg(long)]
    documents: Option<u32>,
    /// How long each row of freshness and of idle shards is watched
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u32,
    /// Measures the Lambda functions of others as well; needs Node.js and Python
    #[arg(long)]
    peers: bool,
    /// Runs of each contender
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Goes one way of the mapping again and again, for a profiler to watch
    #[arg(long, value_name = "ROUTE")]
    repeat: Option<mapping::Route>,
    /// Measures the peak memory of one mapping in a separate process
    #[arg(long, hide = true, requires = "event")]
    peak: Option<mapping::Route>,
    /// The event to map
    #[arg(long, hide = true)]
    event: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One Lambda event to its bulk body
    Mapping,
    /// Captured records through `replay --images`
    Sink,
    /// A backlog through `run --until-end`, and the freshness of `run`
    Poller,
    /// How long records wait while shards change hands
    Handover,
    /// What `run` costs while nothing is written
    Idle,
    /// An event through the Lambda function
    Lambda,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let (Some(route), Some(event)) = (arguments.peak, &arguments.event) {
        return mapping::print_peak(route, event);
    }
    if let Some(route) = arguments.repeat {
        return mapping::repeat(route);
    }
    println!("{}\n", memory::machine());
    if arguments.parts.contains(&Part::Mapping) {
        mapping::run()?;
    }
    let with_engine = arguments.parts.iter().any(|part| *part != Part::Mapping);
    if with_engine {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(engines(&arguments))?;
    }
    Ok(())
}

async fn engines(arguments: &Arguments) -> anyhow::Result<()> {
    let bench = search::Bench::start().await?;
    let watched = Duration::from_secs(arguments.seconds.into());
    let wanted = |part| arguments.parts.contains(&part);
    if wanted(Part::Sink) {
        replay::run(&bench, arguments.rounds, arguments.documents.unwrap_or(SINK_DOCUMENTS)).await?;
    }
    if wanted(Part::Poller) {
        let documents = arguments.documents.unwrap_or(BACKLOG_DOCUMENTS);
        poller::backlog::run(&bench, arguments.rounds, documents).await?;
        poller::freshness::run(&bench, watched).await?;
    }
    if wanted(Part::Handover) {
        poller::handover::run(&bench, arguments.rounds).await?;
    }
    if wanted(Part::Idle) {
        idle::run(&bench, watched).await?;
    }
    if wanted(Part::Lambda) {
        let peers = if arguments.peers { lambda::Peers::All } else { lambda::Peers::None };
        lambda::run(&bench, arguments.rounds, peers).await?;
    }
    Ok(())
}
