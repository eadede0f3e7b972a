//! A full stream through `run --until-end`, against a bare loop that posts the same documents, and against reading
//! the stream and doing nothing.

use std::time::Instant;

use anyhow::Context;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use streamdex_testkit::engines::streams_client;
use tokio::task::JoinSet;

use crate::bulk::BareLoop;
use crate::child::{self, Run};
use crate::records::{Records, inserts};
use crate::search::Bench;
use crate::source::{Compression, Source, now};
use crate::statistics::Contest;

const SHARDS: u32 = 4;

/// The last record of each shard is created so many seconds from now: what is created after the start of
/// `--until-end` marks the end, and without it the run would watch empty pages for two seconds before it believes
/// that this is the end.
const MARKED_AHEAD: u64 = 86_400;

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize, documents: u32) -> anyhow::Result<()> {
    let records = Records::write(&bench.folder, documents)?;
    let reference = BareLoop::prepare(bench, &records).await?;
    let source = filled(documents)?;
    let (mut bare, mut drain, mut runs, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        bare.push(reference.run(bench).await?);
        drain.push(drain_stream(&source, documents).await?);
        bench.fresh_index().await?;
        // Each round has its own group, so that each begins at the trim horizon.
        let config = source.config(bench, &format!("backlog-{round}"), Compression::None)?;
        let Run { seconds, peak_megabytes } = child::run(&config, &["run", "--until-end"], None)?;
        bench.expect_documents(documents).await?;
        runs.push(seconds);
        peak = peak.max(peak_megabytes);
    }
    println!(
        "## Backlog: {documents} records in {SHARDS} shards (served from memory over loopback), into OpenSearch 3.8.0\n"
    );
    let contest = Contest { documents, bare: &bare };
    contest.begin("records", &reference.title());
    contest.row("reading the stream alone, with the AWS SDK, all shards at once", &drain, None);
    contest.row("`streamdex run --until-end`, from process start to exit", &runs, Some(peak));
    println!();
    Ok(())
}

/// The records of the file, in turn on the shards.
fn filled(documents: u32) -> anyhow::Result<Source> {
    let source = Source::start(usize::try_from(SHARDS)?)?;
    let marking = now()? + MARKED_AHEAD;
    for (number, mut record) in (0..documents).zip(inserts(documents)) {
        if number + SHARDS >= documents {
            record.seconds = marking;
        }
        source.stream.append(source.shard(usize::try_from(number)?), [record.to_json()]);
    }
    Ok(source)
}

/// Reads the whole stream with the SDK; seconds.
async fn drain_stream(source: &Source, documents: u32) -> anyhow::Result<f64> {
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
    anyhow::ensure!(read == usize::try_from(documents)?, "{read} records of {documents}");
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
