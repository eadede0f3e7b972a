//! What `streamdex run` costs while nothing is written: calls, writes to the state table, memory, processor time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use streamdex_testkit::fault::FaultServer;
use tokio::time::sleep;

use crate::child::{Running, Usage};
use crate::records::inserts;
use crate::search::Bench;
use crate::source::{Source, now};

const SHARDS: [u32; 2] = [100, 500];
/// Until the one record of each shard must have arrived.
const BEGIN_WITHIN: Duration = Duration::from_secs(180);
/// Until every shard has slowed down and its checkpoint is stored.
const SETTLE: Duration = Duration::from_secs(15);

/// The calls to the stream, in the order of the table.
const STREAM_CALLS: [&str; 3] = ["GetRecords", "GetShardIterator", "DescribeStream"];
const STATE_WRITES: [&str; 5] = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];
const STATE_READS: [&str; 5] = ["GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"];

/// One row.
struct Measured {
    seconds: f64,
    /// By operation, of stream and state table.
    calls: BTreeMap<String, u64>,
    cpu_seconds: f64,
    usage: Usage,
}

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, watched: Duration) -> anyhow::Result<()> {
    println!(
        "## Idle shards (served from memory over loopback), default settings, watched for {} s\n",
        watched.as_secs()
    );
    println!(
        "| idle shards | GetRecords/hour | GetShardIterator/hour | DescribeStream/hour | state writes/hour | state reads/hour | CPU s/minute | resident | peak |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for shards in SHARDS {
        let measured = Box::pin(measure(bench, shards, watched)).await?;
        let [records, iterators, descriptions] = STREAM_CALLS.map(|operation| measured.an_hour(&[operation]));
        println!(
            "| {shards} | {records:.0} | {iterators:.0} | {descriptions:.0} | {:.0} | {:.0} | {:.2} | {} MB | {} MB |",
            measured.an_hour(&STATE_WRITES),
            measured.an_hour(&STATE_READS),
            measured.cpu_seconds / measured.seconds * 60.0,
            measured.usage.resident_megabytes,
            measured.usage.peak_megabytes,
        );
    }
    println!();
    Ok(())
}

async fn measure(bench: &Bench, shards: u32, watched: Duration) -> anyhow::Result<Measured> {
    bench.fresh_index().await?;
    let source = Source::start(usize::try_from(shards)?)?;
    // One record in each, so that each has a checkpoint.
    for (shard, mut record) in source.shards().iter().zip(inserts(shards)) {
        record.seconds = now()?;
        source.stream.append(shard, [record.to_json()]);
    }
    let (config, state) = source.config_counted(bench, &format!("idle-{shards}"))?;
    let running = Running::start(&config)?;
    bench.wait_for_documents(shards, BEGIN_WITHIN).await.with_context(|| running.log_tail())?;
    sleep(SETTLE).await;

    let before = running.usage()?;
    let calls_before = STREAM_CALLS.map(|operation| source.stream.calls(operation));
    state.forget_requests();
    let started = Instant::now();
    sleep(watched).await;
    let usage = running.usage()?;
    let mut calls = state_calls(&state);
    for (operation, before) in STREAM_CALLS.iter().zip(calls_before) {
        calls.insert((*operation).to_owned(), source.stream.calls(operation) - before);
    }
    let seconds = started.elapsed().as_secs_f64();
    running.stop().await?;
    Ok(Measured { seconds, calls, cpu_seconds: usage.cpu_seconds - before.cpu_seconds, usage })
}

/// The calls to the state table, by operation.
fn state_calls(state: &FaultServer) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for request in state.requests() {
        let operation = request.operation().unwrap_or_default();
        *calls.entry(operation.to_owned()).or_default() += 1;
    }
    calls
}

impl Measured {
    fn an_hour(&self, operations: &[&str]) -> f64 {
        let calls: u64 = operations.iter().filter_map(|operation| self.calls.get(*operation)).sum();
        u32::try_from(calls).map_or(f64::NAN, f64::from) * 3_600.0 / self.seconds
    }
}
