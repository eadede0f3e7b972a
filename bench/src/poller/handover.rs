//! How long records wait while the reader changes: after a kill, after a stop, at a roll-over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use streamdex_testkit::streams::NewShard;
use tokio::time::{Instant, sleep};

use super::putter::{Putter, become_visible};
use crate::child::Running;
use crate::search::Bench;
use crate::source::{Compression, Source};
use crate::statistics::{median, percentile};

const SHARDS: usize = 4;
const ROLL_OVERS: usize = 10;
/// The second worker stands by after this.
const STAND_BY: Duration = Duration::from_secs(8);

/// How a worker goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Killed,
    Stopped,
}

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize) -> anyhow::Result<()> {
    println!("## Handover: default settings, stream out of memory, into OpenSearch 3.8.0\n");
    println!("| event | times | median | longest |");
    println!("|---|---|---|---|");
    for (leaves, title) in [
        (Leaves::Killed, "the reader is killed (`kill -9`), and another worker stands by"),
        (Leaves::Stopped, "the reader is stopped, and another worker stands by"),
    ] {
        let mut seconds = Vec::new();
        for round in 0..rounds {
            seconds.push(Box::pin(take_over(bench, leaves, round)).await?);
        }
        row(&format!("{title}, until records put right then on all {SHARDS} shards are visible"), &seconds);
    }
    row("a shard rolls over, until the first record of its child is visible", &Box::pin(roll_over(bench)).await?);
    println!();
    Ok(())
}

fn row(event: &str, seconds: &[f64]) {
    let (median, longest) = (median(seconds), percentile(seconds, 100));
    println!("| {event} | {} | {median:.2} s | {longest:.2} s |", seconds.len());
}

/// Seconds from the signal until a record that was put on each shard right after it is visible.
async fn take_over(bench: &Bench, leaves: Leaves, round: usize) -> anyhow::Result<f64> {
    bench.fresh_index().await?;
    let source = Source::start(SHARDS)?;
    let config = source.config(bench, &format!("handover-{leaves:?}-{round}"), Compression::Default)?;
    let mut putter = Putter::new(source, 1);
    let (leaving, staying) = (Running::start(&config)?, Running::start(&copied(&config)?)?);
    put_on_all(bench, &mut putter).await.with_context(|| staying.log_tail())?;
    sleep(STAND_BY).await;
    let began = Instant::now();
    match leaves {
        Leaves::Killed => {
            leaving.kill()?;
            put_on_all(bench, &mut putter).await.with_context(|| staying.log_tail())?;
        }
        Leaves::Stopped => {
            let seen = async { put_on_all(bench, &mut putter).await.with_context(|| staying.log_tail()) };
            tokio::try_join!(leaving.stop(), seen)?;
        }
    }
    let took = began.elapsed().as_secs_f64();
    staying.stop().await?;
    Ok(took)
}

async fn put_on_all(bench: &Bench, putter: &mut Putter) -> anyhow::Result<()> {
    let ids: Vec<String> = (0..SHARDS).map(|_| putter.put()).collect::<Result<_, _>>()?;
    let reader = bench.reader();
    for id in &ids {
        become_visible(&reader, id).await?;
    }
    Ok(())
}

/// Every worker has a log beside its configuration.
fn copied(config: &Path) -> anyhow::Result<PathBuf> {
    let name = config.file_stem().and_then(|name| name.to_str()).context("a name")?;
    let copy = config.with_file_name(format!("{name}-other.toml"));
    std::fs::copy(config, &copy)?;
    Ok(copy)
}

/// Seconds from the opening of each child, with a record in it, until that record is visible.
async fn roll_over(bench: &Bench) -> anyhow::Result<Vec<f64>> {
    bench.fresh_index().await?;
    let source = Source::start(1)?;
    let mut parent = source.shard(0).to_owned();
    let config = source.config(bench, "roll-over", Compression::Default)?;
    let mut putter = Putter::new(source, 1);
    let running = Running::start(&config)?;
    let reader = bench.reader();
    let mut seconds = Vec::new();
    for number in 1..=ROLL_OVERS {
        become_visible(&reader, &putter.put_on(&parent)?).await.with_context(|| running.log_tail())?;
        let child = format!("shardId-{:020}-{number:08x}", 1_750_000_000_000 + number);
        putter.source.stream.close_shard(&parent);
        let began = Instant::now();
        putter.source.stream.open_shard(NewShard::child(&child, &parent));
        become_visible(&reader, &putter.put_on(&child)?).await.with_context(|| running.log_tail())?;
        seconds.push(began.elapsed().as_secs_f64());
        parent = child;
    }
    running.stop().await?;
    Ok(seconds)
}
