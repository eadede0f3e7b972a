use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use opensearch::http::Method;
use opensearch::http::headers::HeaderMap;
use opensearch::http::transport::Transport;
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode, dynamodb_client, streams_client, unique_name};
use streamdex_testkit::report;

/// Status and body of one request.
async fn send(url: &str, method: Method, path: &str, body: Option<&str>) -> (u16, String) {
    let transport = Transport::single_node(url).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let body = body.map(str::to_owned);
    let answer = transport.send(method, path, headers, None::<&()>, body, None).await.unwrap();
    (answer.status_code().as_u16(), answer.text().await.unwrap())
}

async fn round_trip(engine: SearchEngine) {
    let Some(node) = report::search_node(engine).await else {
        return;
    };
    let path = format!("/{}/_doc/1?version=7&version_type=external_gte&refresh=true", unique_name("trip"));
    let (status, answer) = send(&node.url(), Method::Put, &path, Some(r#"{"a":1}"#)).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = send(&node.url(), Method::Get, path.split('?').next().unwrap(), None).await;
    assert_eq!(status, 200);
    assert!(answer.contains(r#""_version":7"#), "{answer}");
}

#[tokio::test]
async fn opensearch_3_answers() {
    round_trip(SearchEngine::OpenSearch3).await;
}

#[tokio::test]
async fn opensearch_2_answers() {
    round_trip(SearchEngine::OpenSearch2).await;
}

#[tokio::test]
async fn opensearch_1_answers() {
    round_trip(SearchEngine::OpenSearch1).await;
}

#[tokio::test]
async fn elasticsearch_7_answers() {
    round_trip(SearchEngine::Elasticsearch7).await;
}

#[tokio::test]
async fn osmem_answers() {
    round_trip(SearchEngine::Osmem).await;
}

#[tokio::test]
async fn a_killed_node_comes_back_with_its_documents_and_settings() {
    let options = NodeOptions::default().setting("thread_pool.write.queue_size", "2");
    let started = SearchNode::start(SearchEngine::OpenSearch3, options).await;
    let Some(node) = report::needs(SearchEngine::OpenSearch3.label(), started).map(Arc::new) else {
        return;
    };
    let (status, _) = send(&node.url(), Method::Put, "/kept/_doc/1", Some("{}")).await;
    assert_eq!(status, 201);
    node.kill();
    node.restart().await.unwrap();
    let (status, _) = send(&node.url(), Method::Get, "/kept/_doc/1", None).await;
    assert_eq!(status, 200);
    let path = "/_nodes/settings?filter_path=nodes.*.settings.thread_pool";
    let (_, settings) = send(&node.url(), Method::Get, path, None).await;
    assert!(settings.contains(r#""queue_size":"2""#), "{settings}");
    node.stop().await;
}

async fn put_and_read_stream(endpoint: &str) -> usize {
    let tables = dynamodb_client(endpoint);
    let name = unique_name("trip");
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let attribute =
        AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build().unwrap();
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .unwrap();
    let created = tables
        .create_table()
        .table_name(&name)
        .key_schema(key)
        .attribute_definitions(attribute)
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream)
        .send()
        .await
        .unwrap();
    let arn = created.table_description.unwrap().latest_stream_arn.unwrap();
    let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build().unwrap();
    tables.update_time_to_live().table_name(&name).time_to_live_specification(ttl).send().await.unwrap();
    tables
        .put_item()
        .table_name(&name)
        .item("pk", AttributeValue::S("one".to_owned()))
        .item("ttl", AttributeValue::N("1".to_owned()))
        .send()
        .await
        .unwrap();
    records(endpoint, &arn).await
}

/// How many records the first shard of the stream gives.
async fn records(endpoint: &str, arn: &str) -> usize {
    let streams = streams_client(endpoint);
    let described = streams.describe_stream().stream_arn(arn).send().await.unwrap();
    let shard = described.stream_description.unwrap().shards.unwrap().remove(0).shard_id.unwrap();
    let iterator = streams
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(aws_sdk_dynamodbstreams::types::ShardIteratorType::TrimHorizon)
        .send()
        .await
        .unwrap()
        .shard_iterator
        .unwrap();
    let page = streams.get_records().shard_iterator(iterator).send().await.unwrap();
    page.records.unwrap_or_default().len()
}

#[tokio::test]
async fn dynamodb_local_streams() {
    let Some(engine) = report::dynamodb_local().await else {
        return;
    };
    assert_eq!(put_and_read_stream(&engine.endpoint_url()).await, 1);
}

#[tokio::test]
async fn dynoxide_streams_and_sweeps() {
    let engine = report::dynoxide();
    assert_eq!(put_and_read_stream(&engine.endpoint_url()).await, 1);
    assert_eq!(engine.sweep_ttl(), 1);
}
