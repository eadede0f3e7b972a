//! A lone worker: from the start of its process until the first record can be read.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;

use super::putter::{Putter, become_visible};
use crate::child::Running;
use crate::figures::{Figures, SECONDS};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};

const SHARDS: usize = 4;
/// Starts are quick, and vary.
const STARTS_A_ROUND: usize = 3;
/// Between a clean stop and the next start.
const PAUSE: Duration = Duration::from_millis(500);

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize) -> anyhow::Result<()> {
    let expected = "≤ 0.5 s";
    let new = SECONDS.of("in a new group, which has no lease yet").expected(expected);
    let again = SECONDS.of("again, after a clean stop, which left the lease free").expected(expected);
    let mut figures = Figures::new(&bench.programs);
    for round in 0..rounds * STARTS_A_ROUND {
        for program in bench.programs.in_turn() {
            bench.fresh_index_of(program).await?;
            let source = Source::start(SHARDS)?;
            let config = source.config(bench, program, &format!("start-{round}"), &Options::default())?;
            let mut putter = Putter::new(source, 1);
            for figure in [&new, &again] {
                figures.add(program, figure, Box::pin(start(bench, program, &config, &mut putter)).await?);
                sleep(PAUSE).await;
            }
        }
    }
    println!("## Start of a lone worker, {SHARDS} shards, into OpenSearch 3.8.0\n");
    println!("From the start of the process until a record that lay in the stream is visible by GET.\n");
    figures.print();
    Ok(())
}

async fn start(bench: &Bench, program: &Program, config: &Path, putter: &mut Putter) -> anyhow::Result<f64> {
    let id = putter.put()?;
    let started = Instant::now();
    let running = Running::start(program, config)?;
    become_visible(&bench.reader(), &id).await.with_context(|| running.log_tail())?;
    let took = started.elapsed().as_secs_f64();
    running.stop().await?;
    Ok(took)
}
