//! The reader changes: it is killed, or stopped, and a standby goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};

use super::putter::{Putter, become_visible};
use crate::child::Running;
use crate::figures::{Figures, SECONDS};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};

const SHARDS: usize = 4;
/// The second worker stands by after this.
const STAND_BY: Duration = Duration::from_secs(8);

/// A worker that reads, and another one beside it.
struct Pair {
    reader: Running,
    standby: Running,
    putter: Putter,
}

/// Measures and prints.
pub(crate) async fn take_over(bench: &Bench, rounds: usize) -> anyhow::Result<()> {
    let figure =
        SECONDS.of(format!("until records put at the kill on all {SHARDS} shards are visible")).expected("≤ 8 s");
    let mut figures = Figures::new(&bench.programs);
    for round in 0..rounds {
        for program in bench.programs.in_turn() {
            figures.add(program, &figure, Box::pin(kill(bench, program, round)).await?);
        }
    }
    println!("## Take-over: the reader is killed (`kill -9`), and another worker stands by\n");
    figures.print();
    Ok(())
}

/// Measures and prints.
pub(crate) async fn stop(bench: &Bench, rounds: usize) -> anyhow::Result<()> {
    let mut figures = Figures::new(&bench.programs);
    let rows = [
        SECONDS.of("until the process has exited").expected("≤ 1 s"),
        SECONDS.of(format!("until records put at the signal on all {SHARDS} shards are visible")).expected("≤ 1 s"),
        SECONDS.of("until records put at the exit, which the standby alone can see, are visible").expected("≤ 1 s"),
    ];
    for round in 0..rounds {
        for program in bench.programs.in_turn() {
            let seconds = Box::pin(stop_reader(bench, program, round)).await?;
            rows.iter().zip(seconds).for_each(|(row, seconds)| figures.add(program, row, seconds));
        }
    }
    println!("## Stop: the reader gets SIGTERM, and another worker stands by\n");
    println!("All of it counts from the signal.\n");
    figures.print();
    Ok(())
}

async fn kill(bench: &Bench, program: &Program, round: usize) -> anyhow::Result<f64> {
    let Pair { reader, standby, mut putter } = Box::pin(pair(bench, program, &format!("take-over-{round}"))).await?;
    let began = Instant::now();
    reader.kill()?;
    put_on_all(bench, &mut putter).await.with_context(|| standby.log_tail())?;
    let took = began.elapsed().as_secs_f64();
    standby.stop().await?;
    Ok(took)
}

/// Seconds from the signal until the exit, and until records that were put at either are visible.
async fn stop_reader(bench: &Bench, program: &Program, round: usize) -> anyhow::Result<[f64; 3]> {
    let Pair { reader, standby, mut putter } = Box::pin(pair(bench, program, &format!("stop-{round}"))).await?;
    let began = Instant::now();
    let at_signal: Vec<String> = (0..SHARDS).map(|_| putter.put()).collect::<Result<_, _>>()?;
    let seen = async {
        visible(bench, &at_signal).await.with_context(|| standby.log_tail())?;
        anyhow::Ok(began.elapsed())
    };
    let gone = async {
        reader.stop().await?;
        let exited = began.elapsed();
        put_on_all(bench, &mut putter).await.with_context(|| standby.log_tail())?;
        anyhow::Ok((exited, began.elapsed()))
    };
    let (seen, (exited, seen_by_standby)) = Box::pin(async { tokio::try_join!(seen, gone) }).await?;
    standby.stop().await?;
    Ok([exited, seen, seen_by_standby].map(|duration| duration.as_secs_f64()))
}

/// Two workers, of which the first reads.
async fn pair(bench: &Bench, program: &Program, group: &str) -> anyhow::Result<Pair> {
    bench.fresh_index_of(program).await?;
    let source = Source::start(SHARDS)?;
    let config = source.config(bench, program, group, &Options::default())?;
    let mut putter = Putter::new(source, 1);
    let reader = Running::start(program, &config)?;
    put_on_all(bench, &mut putter).await.with_context(|| reader.log_tail())?;
    let standby = Running::start(program, &copied(&config)?)?;
    sleep(STAND_BY).await;
    put_on_all(bench, &mut putter).await.with_context(|| reader.log_tail())?;
    Ok(Pair { reader, standby, putter })
}

async fn put_on_all(bench: &Bench, putter: &mut Putter) -> anyhow::Result<()> {
    let ids: Vec<String> = (0..SHARDS).map(|_| putter.put()).collect::<Result<_, _>>()?;
    visible(bench, &ids).await
}

async fn visible(bench: &Bench, ids: &[String]) -> anyhow::Result<()> {
    let reader = bench.reader();
    for id in ids {
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
