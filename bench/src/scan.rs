//! The bare Scan-and-bulk loop: segments of a Scan with the AWS SDK, each page in one bulk request, and nothing else.
//! The benchmarks compare `backfill` and `verify` with it.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use opensearch::http::transport::Transport;
use serde_json::{Map, Number, Value, json};
use streamdex_testkit::engines::dynamodb_client;
use streamdex_testkit::workload::{PARTITION_KEY, SORT_KEY};
use tokio::task::JoinSet;

use crate::bulk::send;

/// As many as streamdex reads at the same time.
pub(crate) const SEGMENTS: i32 = 8;
const ANSWER: &str = "errors,items.*.error";

/// Copies the table into the index; seconds.
pub(crate) async fn copy(table_url: &str, table: &str, node_url: &str, index: &str) -> anyhow::Result<f64> {
    let client = dynamodb_client(table_url);
    let started = Instant::now();
    let mut segments = JoinSet::new();
    for segment in 0..SEGMENTS {
        let (client, transport) = (client.clone(), Transport::single_node(node_url)?);
        let (table, index) = (table.to_owned(), index.to_owned());
        segments.spawn(async move { copy_segment(&client, &table, segment, &transport, &index).await });
    }
    while let Some(copied) = segments.join_next().await {
        copied??;
    }
    Ok(started.elapsed().as_secs_f64())
}

async fn copy_segment(
    client: &Client,
    table: &str,
    segment: i32,
    transport: &Transport,
    index: &str,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let scan = client.scan().table_name(table).consistent_read(true).segment(segment).total_segments(SEGMENTS);
        let page = scan.set_exclusive_start_key(after).send().await?;
        if !page.items().is_empty() {
            send(transport, ANSWER, bulk_body(page.items(), index)?.into()).await?;
        }
        after = page.last_evaluated_key;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn bulk_body(items: &[HashMap<String, AttributeValue>], index: &str) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    for item in items {
        let key = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).context("a key");
        let id = format!("{}|{}", key(PARTITION_KEY)?, key(SORT_KEY)?);
        serde_json::to_writer(&mut body, &json!({ "index": { "_index": index, "_id": id } }))?;
        body.push(b'\n');
        serde_json::to_writer(&mut body, &object(item))?;
        body.push(b'\n');
    }
    Ok(body)
}

fn object(item: &HashMap<String, AttributeValue>) -> Value {
    item.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into()
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(digits) => number(digits),
        AttributeValue::Bool(truth) => json!(truth),
        AttributeValue::L(values) => values.iter().map(plain).collect(),
        AttributeValue::M(members) => object(members),
        AttributeValue::Ss(texts) => json!(texts),
        AttributeValue::Ns(all) => all.iter().map(|digits| number(digits)).collect(),
        AttributeValue::B(bytes) => base64(bytes.as_ref()),
        AttributeValue::Bs(all) => all.iter().map(|bytes| base64(bytes.as_ref())).collect(),
        _ => Value::Null,
    }
}

fn base64(bytes: &[u8]) -> Value {
    aws_smithy_types::base64::encode(bytes).into()
}

/// Digits beyond those of a double are lost, as usual.
fn number(digits: &str) -> Value {
    let whole = digits.parse::<i64>().ok().map(Number::from);
    whole.or_else(|| Number::from_f64(digits.parse().ok()?)).map_or(Value::Null, Value::Number)
}
