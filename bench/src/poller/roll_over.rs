//! A shard rolls over: from the moment at which all of the parent is written until the child's first record can be read.

use anyhow::Context;
use streamdex_testkit::streams::NewShard;
use tokio::time::Instant;

use super::putter::{Putter, become_visible};
use crate::child::Running;
use crate::figures::{Figures, SECONDS};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};

const ROLL_OVERS_A_ROUND: usize = 5;

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize) -> anyhow::Result<()> {
    let figure = SECONDS.of("parent drained, until the child's first record is visible").expected("≤ 1 s");
    let mut figures = Figures::new(&bench.programs);
    for round in 0..rounds {
        for program in bench.programs.in_turn() {
            for seconds in Box::pin(roll_over(bench, program, round)).await? {
                figures.add(program, &figure, seconds);
            }
        }
    }
    println!("## Roll-over: default settings, into OpenSearch 3.8.0\n");
    println!("The last record of the parent is visible. Then it is closed; its child is listed and holds a record at");
    println!("the same moment, from which this counts.\n");
    figures.print();
    Ok(())
}

async fn roll_over(bench: &Bench, program: &Program, round: usize) -> anyhow::Result<Vec<f64>> {
    bench.fresh_index_of(program).await?;
    let source = Source::start(1)?;
    let mut parent = source.shard(0).to_owned();
    let config = source.config(bench, program, &format!("roll-over-{round}"), &Options::default())?;
    let mut putter = Putter::new(source, 1);
    let running = Running::start(program, &config)?;
    let reader = bench.reader();
    let mut seconds = Vec::new();
    for number in 1..=ROLL_OVERS_A_ROUND {
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
