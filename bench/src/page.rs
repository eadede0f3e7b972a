//! A page of GetRecords: read and mapped by streamdex, against the AWS SDK making typed values of the same body.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use streamdex_dynamodb::stream::{SdkStream, ShardIterator, StreamSource};
use streamdex_mapping::{Batch, Mapper, RecordMeta, Trust};
use streamdex_testkit::workload::SESSIONS_STREAM_ARN;

use crate::mapping::plain_modifications;
use crate::statistics::{median, median_ratio, spread};

const ROUNDS: usize = 31;
/// About 1 MB, at which the service ends a page.
const RECORDS: u32 = 430;

/// Answers every request with one body, without a network.
#[derive(Debug, Clone)]
struct Canned(Bytes);

impl HttpConnector for Canned {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let status = StatusCode::try_from(200_u16).unwrap_or_else(|never| unreachable!("{never}"));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(self.0.clone()))))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Measures and prints.
pub(crate) async fn run(mapper: &Mapper) -> anyhow::Result<()> {
    let records: Vec<String> = plain_modifications(RECORDS).map(|record| record.to_json()).collect();
    let body = format!(r#"{{"NextShardIterator":"next","Records":[{}]}}"#, records.join(","));
    let bytes = body.len();
    let config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
        .http_client(Canned(body.into()));
    let client = Client::from_conf(config.build());
    let arn = streamdex_config::StreamArn::parse(SESSIONS_STREAM_ARN).context("the ARN of a stream")?;
    let clients = streamdex_dynamodb::clients::SourceClients {
        dynamodb: streamdex_testkit::engines::dynamodb_client("http://127.0.0.1:9"),
        streams: client.clone(),
    };
    let stream = SdkStream::new(clients, arn, None);
    let (mut ours, mut typed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let page = stream.records(&ShardIterator::new("i"), None).await?;
        black_box(batch(page.records.as_slice(), mapper)?);
        ours.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(RECORDS));
        let started = Instant::now();
        let output = client.get_records().shard_iterator("i").send().await?;
        anyhow::ensure!(black_box(output).records().len() == page.records.len(), "both read the page");
        typed.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(RECORDS));
    }
    println!(
        "A page of GetRecords, {RECORDS} records in {bytes} bytes, one call without a network: read and mapped {:.1} µs a \
         record; the SDK's typed values alone, nothing mapped, {:.1} µs. Ratio {:.2} ({}); at most 0.2 was expected of \
         typed values with their mapping.\n",
        median(&ours),
        median(&typed),
        median_ratio(&ours, &typed),
        spread(&ours, &typed)
    );
    Ok(())
}

fn batch(records: &[streamdex_mapping::ReadRecord<'_>], mapper: &Mapper) -> anyhow::Result<usize> {
    let mut batch = Batch::default();
    for change in records.iter().flatten() {
        let (sequence, created, keys) = (change.sequence.clone(), change.created, change.canonical_keys());
        let mapped = mapper.map(change, Trust::InOrder).map_err(|error| anyhow::anyhow!("{error}"))?;
        batch.push(RecordMeta { sequence, created, keys }, mapped);
    }
    Ok(batch.take_operations().len())
}
