//! Reading only: `run` reads a whole stream whose records match no route, beside loops that read it with an SDK and do
//! nothing.

use std::time::Instant;

use anyhow::Context;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use streamdex_testkit::engines::streams_client;
use tokio::task::JoinSet;

use super::backlog::filled;
use crate::child::{self, Run};
use crate::figures::{Figures, MEGABYTES, MICROSECONDS, RATE, RATIO};
use crate::peers::GoLoop;
use crate::search::Bench;
use crate::source::{Options, Source};
use crate::statistics::median;

/// No item has this attribute.
const TAKES_NOTHING: Options<'static> = Options {
    source: "",
    opensearch: "",
    route: "when = { attribute = \"no such attribute\", exists = true }\n",
    search_url: None,
    state_url: None,
};

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize, records: u32, go: Option<&GoLoop>) -> anyhow::Result<()> {
    let source = filled(records)?;
    let count = f64::from(records);
    let mut figures = Figures::new(&bench.programs);
    let (mut sdk, mut peer) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let sdk_seconds = drain_stream(&source, records).await?;
        sdk.push(count / sdk_seconds);
        if let Some(go) = go {
            peer.push(count / go.drain(&source, records)?);
        }
        for program in bench.programs.in_turn() {
            bench.fresh_index_of(program).await?;
            let config = source.config(bench, program, &format!("reading-{round}"), &TAKES_NOTHING)?;
            let used = child::run(program, &config, &["run", "--until-end"], None)?;
            let Run { seconds, cpu_seconds, peak_megabytes } = used;
            bench.expect_documents(0).await?;
            figures.add(program, &RATE.of("records").expected("100,000/s (a Go reader's own figure)"), count / seconds);
            figures.add(program, &RATIO.of("ratio to the SDK's loop of the same round"), sdk_seconds / seconds);
            figures.add(program, &MICROSECONDS.of("CPU a record"), cpu_seconds * 1e6 / count);
            figures.add(program, &MEGABYTES.of("peak memory"), f64::from(u32::try_from(peak_megabytes)?));
        }
    }
    let shards = source.shards().len();
    println!("## Reading alone: {records} records of about 1 KB in {shards} shards\n");
    println!("`run --until-end` with a route that takes no record, from process start to exit: pages are read,");
    println!("judged and checkpointed, and nothing is written.\n");
    println!("- All shards at once with the AWS SDK for Rust, and nothing else: {:.0} records/s.", median(&sdk));
    match go {
        Some(_) => println!("- The same in Go, with aws-sdk-go-v2: {:.0} records/s.\n", median(&peer)),
        None => println!("- The same in Go is measured with `--peers`.\n"),
    }
    figures.print();
    Ok(())
}

/// Reads the whole stream with the SDK; seconds.
async fn drain_stream(source: &Source, records: u32) -> anyhow::Result<f64> {
    let client = streams_client(&source.stream.endpoint_url());
    let started = Instant::now();
    let mut shards = JoinSet::new();
    for shard in source.shards() {
        shards.spawn(drain_shard(client.clone(), source.stream.stream_arn().to_owned(), shard.clone()));
    }
    let mut read = 0;
    while let Some(drained) = shards.join_next().await {
        read += drained??;
    }
    anyhow::ensure!(read == usize::try_from(records)?, "{read} records of {records}");
    Ok(started.elapsed().as_secs_f64())
}

async fn drain_shard(client: Client, stream_arn: String, shard: String) -> anyhow::Result<usize> {
    let call = client.get_shard_iterator().stream_arn(stream_arn).shard_id(shard);
    let mut iterator = call.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?.shard_iterator;
    let mut read = 0;
    loop {
        let page = client.get_records().shard_iterator(iterator.context("no iterator")?).send().await?;
        if page.records().is_empty() {
            return Ok(read);
        }
        read += page.records().len();
        iterator = page.next_shard_iterator;
    }
}
