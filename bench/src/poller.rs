//! A full stream through `run --until-end`, against the same records through `replay`, and against reading the
//! stream and doing nothing.

use std::time::Instant;

use anyhow::Context;
use aws_sdk_dynamodb::types::{PutRequest, StreamViewType, WriteRequest};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use streamdex_testkit::engines::{Dynoxide, dynamodb_client, streams_client};
use streamdex_testkit::workload::{EVENT_TIME, Sessions, create_sessions_table};

use crate::child::{self, Run};
use crate::search::{Bench, config_text};
use crate::statistics::{median, median_ratio, spread};

/// Measures and prints. `replay` holds the seconds that the same records took out of a file.
pub(crate) async fn run(bench: &Bench, rounds: usize, replay: Vec<f64>) -> anyhow::Result<()> {
    let dynoxide = Dynoxide::start()?;
    let endpoint = dynoxide.endpoint_url();
    let stream_arn = fill(&endpoint, bench.documents).await?;
    let (mut drain, mut runs, mut peak) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        drain.push(drain_stream(&endpoint, &stream_arn, bench.documents).await?);
        bench.fresh_index().await?;
        let config = bench.folder.join("poller.toml");
        // A group of its own for each round, so that each begins at the trim horizon.
        let text = format!("{}\n[state]\ngroup = \"round-{round}\"\n", config_text(&bench.node.url(), Some(&endpoint)));
        std::fs::write(&config, text)?;
        let Run { seconds, peak_megabytes } = tokio::task::spawn_blocking({
            let config = config.clone();
            move || child::run(&config, &["run", "--until-end"], None)
        })
        .await??;
        bench.expect_documents().await?;
        runs.push(seconds);
        peak = peak.max(peak_megabytes);
    }
    let rate = |seconds: f64| f64::from(bench.documents) / seconds;
    println!("## Poller: a stream of {} records (dynoxide, in process) into OpenSearch 3.8.0\n", bench.documents);
    println!("| contender | records/s (median) | ratio of `run` to it | peak memory |");
    println!("|---|---|---|---|");
    println!(
        "| reading the stream alone | {:.0} | {:.2} ({}) | – |",
        rate(median(&drain)),
        median_ratio(&drain, &runs),
        spread(&drain, &runs)
    );
    println!(
        "| `streamdex replay --images` of as many records | {:.0} | {:.2} ({}) | – |",
        rate(median(&replay)),
        median_ratio(&replay, &runs),
        spread(&replay, &runs)
    );
    println!(
        "| `streamdex run --until-end`, from process start to exit | {:.0} | 1 | {peak} MB |\n",
        rate(median(&runs))
    );
    Ok(())
}

/// Puts the items; the stream then holds one record for each.
async fn fill(endpoint: &str, count: u32) -> anyhow::Result<String> {
    let client = dynamodb_client(endpoint);
    let table = create_sessions_table(&client, "sessions", StreamViewType::NewAndOldImages).await;
    let mut sessions = Sessions::new(7, EVENT_TIME);
    let mut requests = Vec::new();
    for number in 0..count {
        let item = sessions.item(Sessions::key_of(number % 5000, number));
        let put = PutRequest::builder().set_item(Some(item.into_iter().collect())).build()?;
        requests.push(WriteRequest::builder().put_request(put).build());
        if requests.len() == 25 || number + 1 == count {
            client.batch_write_item().request_items("sessions", std::mem::take(&mut requests)).send().await?;
        }
    }
    Ok(table.stream_arn)
}

/// Reads the whole stream with the SDK, and counts; seconds.
async fn drain_stream(endpoint: &str, stream_arn: &str, count: u32) -> anyhow::Result<f64> {
    let client = streams_client(endpoint);
    let started = Instant::now();
    let described = client.describe_stream().stream_arn(stream_arn).send().await?;
    let shards = described.stream_description.context("no description")?.shards.unwrap_or_default();
    let shard = shards.first().and_then(|shard| shard.shard_id()).context("no shard")?;
    let iterator = client.get_shard_iterator().stream_arn(stream_arn).shard_id(shard);
    let mut iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?.shard_iterator;
    let mut read = 0;
    while read < usize::try_from(count)? {
        let page = client.get_records().set_shard_iterator(iterator).send().await?;
        read += page.records().len();
        iterator = page.next_shard_iterator;
    }
    Ok(started.elapsed().as_secs_f64())
}
