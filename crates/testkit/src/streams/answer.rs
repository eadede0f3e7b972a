//! The answers to each operation.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use super::limits::Allowance;
use super::log::{ShardLog, Start, parse_sequence};
use super::state::{LABEL, Shared};
use crate::workload::{EVENT_TIME, PARTITION_KEY, SORT_KEY};

const SHARDS_A_PAGE: usize = 100;
const VIEW: &str = "NEW_AND_OLD_IMAGES";

/// An answer with status 400.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeTable {
    table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreams {
    table_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeStream {
    stream_arn: String,
    limit: Option<usize>,
    exclusive_start_shard_id: Option<String>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    r#type: String,
    shard_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIterator {
    stream_arn: String,
    shard_id: String,
    shard_iterator_type: String,
    sequence_number: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecords {
    shard_iterator: String,
    limit: Option<usize>,
}

/// The body of the answer to one call.
pub(super) fn answer(shared: &Shared, operation: &str, body: &[u8]) -> Result<String, Refusal> {
    match operation {
        "DescribeTable" => describe_table(shared, &read(body)?),
        "ListStreams" => Ok(list_streams(shared, &read(body)?)),
        "DescribeStream" => describe_stream(shared, &read(body)?),
        "GetShardIterator" => get_shard_iterator(shared, &read(body)?),
        "GetRecords" => get_records(shared, &read(body)?),
        _ => Err(refuse("UnknownOperationException", format!("{operation:?} is not served"))),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| refuse("SerializationException", error.to_string()))
}

fn describe_table(shared: &Shared, call: &DescribeTable) -> Result<String, Refusal> {
    if call.table_name != shared.table && call.table_name != shared.table_arn {
        return Err(not_found(format!("Requested resource not found: Table: {} not found", call.table_name)));
    }
    let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let table = json!({
        "TableName": shared.table,
        "TableArn": shared.table_arn,
        "TableId": "5f0e1c5c-0000-4000-8000-000000000000",
        "TableStatus": "ACTIVE",
        "CreationDateTime": EVENT_TIME,
        "KeySchema": key_schema(),
        "AttributeDefinitions": [text(PARTITION_KEY), text(SORT_KEY)],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
        "ItemCount": 0,
        "TableSizeBytes": 0,
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": VIEW },
        "LatestStreamArn": shared.stream_arn,
        "LatestStreamLabel": LABEL,
    });
    Ok(json!({ "Table": table }).to_string())
}

fn list_streams(shared: &Shared, call: &ListStreams) -> String {
    let stream = json!({ "StreamArn": shared.stream_arn, "TableName": shared.table, "StreamLabel": LABEL });
    let ours = call.table_name.as_ref().is_none_or(|table| *table == shared.table);
    let streams: Vec<Value> = ours.then_some(stream).into_iter().collect();
    json!({ "Streams": streams }).to_string()
}

fn describe_stream(shared: &Shared, call: &DescribeStream) -> Result<String, Refusal> {
    check_arn(shared, &call.stream_arn)?;
    let allowed = |left: &Mutex<Allowance>| left.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
    if !shared.describe_stream.as_ref().is_none_or(allowed) {
        return Err(throttle(shared, "DescribeStream", "ThrottlingException"));
    }
    let parent = match &call.shard_filter {
        None => None,
        Some(filter) if filter.r#type == "CHILD_SHARDS" => Some(filter.shard_id.as_str()),
        Some(filter) => return Err(invalid(format!("a shard filter of type {:?}", filter.r#type))),
    };
    let after = call.exclusive_start_shard_id.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let limit = call.limit.unwrap_or(SHARDS_A_PAGE).clamp(1, SHARDS_A_PAGE);
    let shards = shared.shards();
    let (page, last) = shard_page(&shards, after, parent, limit);
    let mut description = json!({
        "StreamArn": shared.stream_arn,
        "StreamLabel": LABEL,
        "StreamStatus": "ENABLED",
        "StreamViewType": VIEW,
        "CreationRequestDateTime": EVENT_TIME,
        "TableName": shared.table,
        "KeySchema": key_schema(),
        "Shards": page,
    });
    if let Some(last) = last {
        description["LastEvaluatedShardId"] = last.into();
    }
    Ok(json!({ "StreamDescription": description }).to_string())
}

/// A page of shards, and where the next page begins.
fn shard_page<'a>(
    shards: &'a BTreeMap<String, ShardLog>,
    after: Bound<&str>,
    parent: Option<&str>,
    limit: usize,
) -> (Vec<Value>, Option<&'a str>) {
    let asked = |(_, shard): &(&String, &ShardLog)| parent.is_none() || shard.parent.as_deref() == parent;
    let mut rest = shards.range::<str, _>((after, Bound::Unbounded)).filter(asked).peekable();
    let mut page = Vec::new();
    while let Some((id, shard)) = rest.next() {
        page.push(describe_shard(id, shard));
        if page.len() == limit {
            return (page, rest.peek().map(|_| id.as_str()));
        }
    }
    (page, None)
}

fn describe_shard(id: &str, shard: &ShardLog) -> Value {
    let mut range = json!({ "StartingSequenceNumber": shard.starting });
    if let Some(ending) = &shard.ending {
        range["EndingSequenceNumber"] = ending.as_str().into();
    }
    let mut described = json!({ "ShardId": id, "SequenceNumberRange": range });
    if let Some(parent) = &shard.parent {
        described["ParentShardId"] = parent.as_str().into();
    }
    described
}

fn get_shard_iterator(shared: &Shared, call: &GetShardIterator) -> Result<String, Refusal> {
    check_arn(shared, &call.stream_arn)?;
    let sequence = || {
        let text = call.sequence_number.as_deref().ok_or_else(|| invalid("no sequence number".to_owned()))?;
        parse_sequence(text).ok_or_else(|| invalid(format!("{text:?} is no sequence number")))
    };
    let start = match call.shard_iterator_type.as_str() {
        "TRIM_HORIZON" => Start::TrimHorizon,
        "LATEST" => Start::Latest,
        "AT_SEQUENCE_NUMBER" => Start::At(sequence()?),
        "AFTER_SEQUENCE_NUMBER" => Start::After(sequence()?),
        other => return Err(invalid(format!("an iterator of type {other:?}"))),
    };
    let shards = shared.shards();
    let shard = shards.get(&call.shard_id).ok_or_else(|| no_shard(&call.shard_id))?;
    Ok(json!({ "ShardIterator": iterator(&call.shard_id, shard.position(start)) }).to_string())
}

fn get_records(shared: &Shared, call: &GetRecords) -> Result<String, Refusal> {
    let bad = || invalid("Invalid ShardIterator".to_owned());
    let (position, id) = call.shard_iterator.split_once('|').ok_or_else(bad)?;
    let position = position.parse().map_err(|_| bad())?;
    let mut shards = shared.shards();
    let shard = shards.get_mut(id).ok_or_else(|| no_shard(id))?;
    let now = Instant::now();
    if shared.describe_stream.is_some() && !shard.reads.is_allowed(now) {
        return Err(throttle(shared, "GetRecords", "LimitExceededException"));
    }
    shared.between_reads().extend(shard.reads.note(now));
    let page = shard.page(position, call.limit.unwrap_or(usize::MAX));
    let mut answer = String::with_capacity(page.records.len() + 200);
    answer.push_str("{\"Records\":[");
    answer.push_str(page.records);
    answer.push(']');
    if let Some(next) = page.next {
        answer.push_str(",\"NextShardIterator\":");
        answer.push_str(&Value::from(iterator(id, next)).to_string());
    }
    answer.push('}');
    Ok(answer)
}

fn iterator(id: &str, position: usize) -> String {
    format!("{position}|{id}")
}

fn key_schema() -> Value {
    json!([
        { "AttributeName": PARTITION_KEY, "KeyType": "HASH" },
        { "AttributeName": SORT_KEY, "KeyType": "RANGE" },
    ])
}

fn check_arn(shared: &Shared, arn: &str) -> Result<(), Refusal> {
    if arn == shared.stream_arn {
        return Ok(());
    }
    Err(not_found(format!("Requested resource not found: Stream: {arn} not found")))
}

fn throttle(shared: &Shared, operation: &str, kind: &'static str) -> Refusal {
    shared.count_throttled(operation);
    refuse(kind, "Rate exceeded".to_owned())
}

fn no_shard(id: &str) -> Refusal {
    not_found(format!("Requested resource not found: Shard: {id} not found"))
}

fn not_found(message: String) -> Refusal {
    refuse("ResourceNotFoundException", message)
}

fn invalid(message: String) -> Refusal {
    refuse("ValidationException", message)
}

fn refuse(kind: &'static str, message: String) -> Refusal {
    Refusal { kind, message }
}
