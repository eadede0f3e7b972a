use aws_sdk_dynamodb::types::TableStatus;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_dynamodbstreams::types::{OperationType, ShardFilter, ShardFilterType, ShardIteratorType};
use futures::future::join_all;

use super::*;
use crate::engines::{dynamodb_client, streams_client};
use crate::workload::{EVENT_TIME, modifications};

const SHARD: &str = "shardId-00000001750000000000-aaaaaaaa";

fn records(count: u32) -> Vec<String> {
    modifications(1, count).map(|record| record.to_json()).collect()
}

fn served(count: u32) -> (ServedStream, Client) {
    let stream = ServedStream::start("sessions");
    stream.open_shard(NewShard::root(SHARD));
    stream.append(SHARD, records(count));
    let client = streams_client(&stream.endpoint_url());
    (stream, client)
}

fn iterator(stream: &ServedStream, client: &Client, kind: ShardIteratorType) -> GetShardIteratorFluentBuilder {
    client.get_shard_iterator().stream_arn(stream.stream_arn()).shard_id(SHARD).shard_iterator_type(kind)
}

async fn page(client: &Client, iterator: impl Into<String>) -> GetRecordsOutput {
    client.get_records().shard_iterator(iterator).send().await.unwrap()
}

/// The sequence numbers of one page at a new iterator.
async fn at(client: &Client, call: GetShardIteratorFluentBuilder) -> Vec<String> {
    let iterator = call.send().await.unwrap().shard_iterator.unwrap();
    sequences(&page(client, iterator).await)
}

fn sequences(page: &GetRecordsOutput) -> Vec<String> {
    let sequence = |record: &aws_sdk_dynamodbstreams::types::Record| {
        record.dynamodb().unwrap().sequence_number().unwrap().to_owned()
    };
    page.records().iter().map(sequence).collect()
}

#[tokio::test]
async fn the_sdk_reads_every_record_in_pages() {
    let (stream, client) = served(2_500);
    let first = iterator(&stream, &client, ShardIteratorType::TrimHorizon).send().await.unwrap();
    let mut iterator = first.shard_iterator.unwrap();
    let mut read = Vec::new();
    let mut pages = 0;
    loop {
        let page = page(&client, iterator).await;
        assert!(page.records().len() <= 1_000);
        iterator = page.next_shard_iterator.clone().unwrap();
        if page.records().is_empty() {
            break;
        }
        if read.is_empty() {
            let record = &page.records()[0];
            let body = record.dynamodb().unwrap();
            assert_eq!(record.event_name(), Some(&OperationType::Modify));
            assert_eq!(body.approximate_creation_date_time().unwrap().secs(), EVENT_TIME as i64);
            assert_eq!(body.keys().unwrap().len(), 2);
            assert!(body.new_image().unwrap().len() > 10 && body.old_image().is_some());
        }
        pages += 1;
        read.extend(sequences(&page));
    }
    assert_eq!(read.len(), 2_500);
    assert!(read.is_sorted() && pages > 3, "{pages} pages of 2.3 kB a record");
    assert_eq!(stream.calls("GetRecords"), pages + 1);
    stream.append(SHARD, modifications(1, 2_501).skip(2_500).map(|record| record.to_json()));
    assert_eq!(page(&client, iterator).await.records().len(), 1);
}

#[tokio::test]
async fn iterators_begin_where_they_are_asked_to() {
    let (stream, client) = served(3);
    let all = at(&client, iterator(&stream, &client, ShardIteratorType::TrimHorizon)).await;
    assert_eq!(all.len(), 3);
    let after = iterator(&stream, &client, ShardIteratorType::AfterSequenceNumber).sequence_number(&all[0]);
    assert_eq!(at(&client, after).await, all[1..]);
    let from = iterator(&stream, &client, ShardIteratorType::AtSequenceNumber).sequence_number(&all[1]);
    assert_eq!(at(&client, from).await, all[1..]);
    let latest = iterator(&stream, &client, ShardIteratorType::Latest).send().await.unwrap().shard_iterator.unwrap();
    stream.append(SHARD, modifications(1, 4).skip(3).map(|record| record.to_json()));
    assert_eq!(page(&client, latest).await.records().len(), 1);
}

#[tokio::test]
async fn a_closed_shard_ends() {
    let (stream, client) = served(3);
    stream.close_shard(SHARD);
    let iterator = iterator(&stream, &client, ShardIteratorType::TrimHorizon).send().await.unwrap();
    let last = page(&client, iterator.shard_iterator.unwrap()).await;
    assert_eq!((last.records().len(), last.next_shard_iterator()), (3, None));
}

#[tokio::test]
async fn shards_are_listed_a_hundred_at_a_time_and_by_parent() {
    let stream = ServedStream::start("sessions");
    for number in 0..250 {
        stream.open_shard(NewShard::root(&format!("shardId-{number:05}")));
    }
    stream.close_shard("shardId-00007");
    stream.open_shard(NewShard::child("shardId-00900", "shardId-00007").starting_at("700000000000000000000"));
    let client = streams_client(&stream.endpoint_url());
    let describe = || client.describe_stream().stream_arn(stream.stream_arn());
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let answer = describe().set_exclusive_start_shard_id(after).send().await.unwrap();
        let description = answer.stream_description.unwrap();
        after = description.last_evaluated_shard_id.clone();
        listed.push(description.shards.unwrap());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 51]);
    let closed =
        listed[0].iter().filter(|shard| shard.sequence_number_range().unwrap().ending_sequence_number.is_some());
    assert_eq!(closed.map(|shard| shard.shard_id().unwrap()).collect::<Vec<_>>(), ["shardId-00007"]);

    let filter = ShardFilter::builder().r#type(ShardFilterType::ChildShards).shard_id("shardId-00007").build();
    let answer = describe().shard_filter(filter).send().await.unwrap();
    let children = answer.stream_description.unwrap().shards.unwrap();
    assert_eq!((children.len(), children[0].parent_shard_id()), (1, Some("shardId-00007")));
    assert_eq!(describe().limit(3).send().await.unwrap().stream_description.unwrap().shards().len(), 3);
    assert_eq!(stream.calls("DescribeStream"), 5);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (stream, client) = served(1);
    let call = client.get_shard_iterator().stream_arn(stream.stream_arn()).shard_id("shardId-unknown");
    let error = call.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error = client.describe_stream().stream_arn("arn:of:another").send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error = client.get_records().shard_iterator("nonsense").send().await.unwrap_err();
    assert_eq!(error.into_service_error().meta().code(), Some("ValidationException"));
    let tables = dynamodb_client(&stream.endpoint_url());
    let error = tables.describe_table().table_name("other").send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error = tables.list_tables().send().await.unwrap_err();
    assert_eq!(error.into_service_error().meta().code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn the_table_is_described() {
    let (stream, client) = served(0);
    let tables = dynamodb_client(&stream.endpoint_url());
    let table = tables.describe_table().table_name("sessions").send().await.unwrap().table.unwrap();
    assert_eq!(table.latest_stream_arn(), Some(stream.stream_arn()));
    assert_eq!((table.key_schema().len(), table.table_status()), (2, Some(&TableStatus::Active)));
    assert!(table.stream_specification().unwrap().stream_enabled);
    let streams = client.list_streams().table_name("sessions").send().await.unwrap();
    assert_eq!(streams.streams().len(), 1);
}

#[tokio::test]
async fn a_limited_stream_throttles_what_is_above_the_limits() {
    let stream = ServedStream::limited("sessions");
    stream.open_shard(NewShard::root(SHARD));
    let client = streams_client(&stream.endpoint_url());
    // The SDK calls again by itself, three times at most: what it gives up may be throttled each time.
    let describe = || client.describe_stream().stream_arn(stream.stream_arn()).send();
    let described = join_all((0..15).map(|_| describe())).await.into_iter().filter(Result::is_ok).count();
    assert!(described >= 10, "{described}");
    assert!(stream.throttled("DescribeStream") > 0);
    let iterator = iterator(&stream, &client, ShardIteratorType::TrimHorizon).send().await.unwrap();
    assert_eq!(stream.shards_read(), 0);
    let records = || client.get_records().shard_iterator(iterator.shard_iterator().unwrap()).send();
    let answered = join_all((0..10).map(|_| records())).await.into_iter().filter(Result::is_ok).count();
    assert!(stream.throttled("GetRecords") > 0);
    assert_eq!(stream.shards_read(), 1);
    assert_eq!(stream.take_times_between_reads().len(), answered - 1);
    assert!(stream.take_times_between_reads().is_empty());
}
