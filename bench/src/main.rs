//! Benchmarks of streamdex, as ratios against a reference in the same run where there is one.
//!
//! `cargo xtask bench` runs this, optimised (profile `measured`). The machine's speed drifts, so a measurement and its
//! reference take turns, and the median of the ratios is what counts.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod bulk;
mod bulk_settings;
mod child;
mod curve;
mod figures;
mod lambda;
mod mapping;
mod memory;
mod mirror;
mod page;
mod part;
mod peers;
mod poller;
mod program;
mod records;
mod replay;
mod scan;
mod search;
mod shapes;
mod source;
mod statistics;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::part::Part;
use crate::peers::{GoLoop, Peers};
use crate::program::Programs;
use crate::search::Bench;

const BACKFILL_ITEMS: u32 = 100_000;
const VERIFY_ITEMS: [u32; 2] = [1_000_000, 5_000_000];
const SINK_DOCUMENTS: u32 = 100_000;
const BACKLOGS: [u32; 2] = [60_000, 200_000];
const READING_RECORDS: u32 = 400_000;
const CAPACITY_RECORDS: u32 = 300_000;
const MANY_SHARDS: [usize; 2] = [2_000, 10_000];

/// Benchmarks of streamdex against references in the same run.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure [default: all of it]
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Documents, items or records, for sink, backfill, verify, backlog, reading and capacity, in place of what each of
    /// them takes
    #[arg(long)]
    documents: Option<u32>,
    /// Shards, in place of 2,000 and 10,000, for many-shards
    #[arg(long)]
    shards: Option<usize>,
    /// How long freshness, idle and many-shards watch each of their rows
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u32,
    /// A `streamdex` of an earlier version, which takes turns with this one in all that follow a stream
    #[arg(long, value_name = "PATH")]
    baseline: Option<PathBuf>,
    /// Measures the programs of others as well; needs Node.js and Python for lambda, Go for reading
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

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let (Some(route), Some(event)) = (arguments.peak, &arguments.event) {
        return mapping::print_peak(route, event);
    }
    if let Some(route) = arguments.repeat {
        return mapping::repeat(route);
    }
    println!("{}\n", memory::machine());
    let parts = Part::chosen(&arguments.parts);
    if parts.contains(&Part::Mapping) {
        mapping::run()?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(shapes::run())?;
    }
    if parts.iter().any(|part| *part != Part::Mapping) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(with_engines(&arguments, &parts))?;
    }
    Ok(())
}

async fn with_engines(arguments: &Arguments, parts: &[Part]) -> anyhow::Result<()> {
    let bench = Bench::start(Programs::find(arguments.baseline.as_deref())?).await?;
    for part in parts {
        Box::pin(measure(&bench, *part, arguments)).await?;
    }
    Ok(())
}

async fn measure(bench: &Bench, part: Part, arguments: &Arguments) -> anyhow::Result<()> {
    let (rounds, watched) = (arguments.rounds, Duration::from_secs(arguments.seconds.into()));
    let peers = if arguments.peers { Peers::All } else { Peers::None };
    let documents = |usually: u32| arguments.documents.unwrap_or(usually);
    match part {
        Part::Mapping | Part::Poller => {}
        Part::Sink => replay::run(bench, rounds, documents(SINK_DOCUMENTS)).await?,
        Part::Backfill => mirror::backfill(bench, rounds, documents(BACKFILL_ITEMS)).await?,
        Part::Verify => {
            for items in arguments.documents.map_or(VERIFY_ITEMS.to_vec(), |documents| vec![documents]) {
                mirror::verify(bench, 1, items).await?;
            }
        }
        Part::Backlog => {
            let sizes = arguments.documents.map_or(BACKLOGS.to_vec(), |documents| vec![documents]);
            for documents in sizes {
                poller::backlog::run(bench, rounds, documents).await?;
            }
        }
        Part::Start => poller::first_record::run(bench, rounds).await?,
        Part::Freshness => poller::freshness::run(bench, watched).await?,
        Part::Await => poller::waiting::run(bench, watched).await?,
        Part::Reading => {
            let go = (peers == Peers::All).then(|| GoLoop::build(bench)).transpose()?;
            poller::reading::run(bench, rounds, documents(READING_RECORDS), go.as_ref()).await?;
        }
        Part::Capacity => poller::capacity::run(bench, rounds, documents(CAPACITY_RECORDS)).await?,
        Part::TakeOver => poller::changes::take_over(bench, rounds).await?,
        Part::Stop => poller::changes::stop(bench, rounds).await?,
        Part::RollOver => poller::roll_over::run(bench, rounds).await?,
        Part::Idle => poller::idle::run(bench, watched).await?,
        Part::ManyShards => {
            let sizes = arguments.shards.map_or(MANY_SHARDS.to_vec(), |shards| vec![shards]);
            for shards in sizes {
                poller::many_shards::run(bench, shards, watched).await?;
            }
        }
        Part::Bookkeeping => poller::bookkeeping::run(bench).await?,
        Part::Lambda => lambda::run(bench, rounds, peers).await?,
    }
    Ok(())
}
