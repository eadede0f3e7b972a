//! The cost of `streamdex run` while nothing is written: calls, writes to the state table, memory, processor time.

use std::time::Duration;

use anyhow::Context;
use streamdex_testkit::fault::FaultServer;
use tokio::time::sleep;

use super::spans::{count, watch};
use crate::child::Running;
use crate::figures::{CPU_MILLISECONDS, Figures, MEGABYTES, RATE, SLOW_RATE};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};

const SHARDS: [usize; 2] = [500, 2_000];
/// Until the one record of each shard must have arrived.
const BEGIN_WITHIN: Duration = Duration::from_secs(300);
/// Until every shard has slowed down and its checkpoint is stored.
const SETTLE: Duration = Duration::from_secs(15);

const STATE_WRITES: [&str; 5] = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];
const STATE_READS: [&str; 5] = ["GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"];

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, watched: Duration) -> anyhow::Result<()> {
    let mut figures = Figures::new(&bench.programs);
    for shards in SHARDS {
        for program in bench.programs.in_turn() {
            Box::pin(measure(bench, program, shards, watched, &mut figures)).await?;
        }
    }
    println!(
        "## Idle shards, default settings, under the limits of the service, watched for {} s\n",
        watched.as_secs()
    );
    figures.print();
    Ok(())
}

async fn measure(
    bench: &Bench,
    program: &Program,
    shards: usize,
    watched: Duration,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    bench.fresh_index_of(program).await?;
    let source = Source::limited(shards)?;
    let documents = source.put_one_in_each()?;
    let state = FaultServer::in_front_of(&source.state_url());
    let state_url = state.url();
    let options = Options { state_url: Some(&state_url), ..Options::default() };
    let config = source.config(bench, program, &format!("idle-{shards}"), &options)?;
    let running = Running::start(program, &config)?;
    let named = |name: &str| format!("{shards} shards: {name}");
    let arrived = bench.wait_for_documents(documents, BEGIN_WITHIN).await.with_context(|| running.log_tail());
    if let Err(error) = arrived {
        figures.remark(program, &MEGABYTES.of(named("resident")), format!("did not begin: {error}"));
        return Ok(());
    }
    sleep(SETTLE).await;

    state.forget_requests();
    let span = watch(&running, &source, watched).await?;
    let calls_to_state = |operations: &[&str]| {
        let requests = state.requests();
        let asked = requests.iter().filter_map(|request| request.operation());
        let number = asked.filter(|operation| operations.contains(operation)).count();
        span.a_second(u64::try_from(number).map_or(f64::NAN, count))
    };
    let memory = MEGABYTES.of(named("resident"));
    let memory = if shards == 2_000 { memory.expected("≤ 250 MB") } else { memory };
    figures.add(program, &memory, span.used.resident_megabytes);
    figures.add(program, &MEGABYTES.of(named("peak")), span.used.peak_megabytes);
    figures.add(program, &CPU_MILLISECONDS.of(named("CPU")), span.cpu());
    let [records, descriptions] = span.calls;
    figures.add(program, &RATE.of(named("GetRecords")), span.a_second(records));
    figures.add(program, &SLOW_RATE.of(named("DescribeStream")), span.a_second(descriptions));
    figures.add(program, &SLOW_RATE.of(named("throttled calls")), span.a_second(span.throttled));
    figures.add(program, &SLOW_RATE.of(named("writes to the state table")), calls_to_state(&STATE_WRITES));
    figures.add(program, &SLOW_RATE.of(named("reads of the state table")), calls_to_state(&STATE_READS));
    running.stop().await?;
    Ok(())
}
