use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use opensearch::http::headers::HeaderMap;
use opensearch::http::transport::Transport;
use streamdex_testkit::compare::{Difference, Expected, Sides, compare_documents, index_documents, table_items};
use streamdex_testkit::engines::{SearchEngine, dynamodb_client, unique_name};
use streamdex_testkit::report;
use streamdex_testkit::workload::{Item, PARTITION_KEY, RandomWriter, SORT_KEY, create_sessions_table};

const DIGITS: &str = "12345678901234567890123456789012345678";

fn expected(item: &Item) -> Option<Expected> {
    let (AttributeValue::S(user), AttributeValue::S(session)) = (&item[PARTITION_KEY], &item[SORT_KEY]) else {
        panic!("keys are text");
    };
    let id = format!("{user}-{}", session.replace('|', "-"));
    Some(Expected { id, document: format!("{{\"n\":[{DIGITS}],\"attributes\":{}}}", item.len()) })
}

async fn bulk(url: &str, index: &str, documents: &[Expected]) {
    let mut body = String::new();
    for Expected { id, document } in documents {
        body.push_str(&format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n{document}\n"));
    }
    let transport = Transport::single_node(url).unwrap();
    let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), "application/x-ndjson".parse().unwrap())]);
    let path = format!("/{index}/_bulk");
    let answer = transport.send(Method::Post, &path, headers, None::<&()>, Some(body), None).await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains("\"errors\":false"), "{text}");
}

async fn create(url: &str, index: &str) {
    let transport = Transport::single_node(url).unwrap();
    let body = r#"{"mappings":{"properties":{"n":{"type":"double"}}}}"#;
    let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), "application/json".parse().unwrap())]);
    let path = format!("/{index}");
    transport.send(Method::Put, &path, headers, None::<&()>, Some(body), None).await.unwrap();
}

#[tokio::test]
async fn differences_between_table_and_index_are_found() {
    let Some(node) = report::search_node(SearchEngine::Osmem).await else {
        return;
    };
    let dynamodb = report::dynoxide();
    let client = dynamodb_client(&dynamodb.endpoint_url());
    let table = create_sessions_table(&client, "sessions", StreamViewType::NewAndOldImages).await;
    let written = RandomWriter::new(client.clone(), &table.name, 7).writes_per_second(2_000).write(300).await;
    assert_eq!(written.total(), 300);
    let index = unique_name("compared");
    create(&node.url(), &index).await;
    let mut documents: Vec<Expected> = table_items(&client, &table.name).await.iter().filter_map(expected).collect();
    bulk(&node.url(), &index, &documents).await;
    let url = node.url();
    let sides = Sides { client: &client, table: &table.name, url: &url, index: &index };
    sides.until_equal(Duration::from_secs(10), expected).await.unwrap();

    documents.truncate(1);
    documents[0].document = "{}".to_owned();
    documents.push(Expected { id: "nobody".to_owned(), document: "{}".to_owned() });
    bulk(&node.url(), &index, &documents).await;
    let differences = sides.differences(expected).await;
    assert!(matches!(&differences[..], [Difference::Different { .. }, Difference::Extra { .. }]), "{differences:?}");
}

#[tokio::test]
async fn whole_indices_are_read_from_every_engine() {
    for engine in SearchEngine::ALL {
        let Some(node) = report::search_node(engine).await else {
            continue;
        };
        let index = unique_name("whole");
        create(&node.url(), &index).await;
        let document = |n: u32| Expected { id: n.to_string(), document: format!("{{\"n\":{DIGITS},\"m\":{n}.50}}") };
        let documents: Vec<Expected> = (0..2_500).map(document).collect();
        bulk(&node.url(), &index, &documents).await;
        let expected: BTreeMap<String, String> =
            documents.into_iter().map(|expected| (expected.id, expected.document)).collect();
        let found = index_documents(&node.url(), &index).await;
        assert_eq!(compare_documents(&expected, &found), [], "{}", engine.label());
    }
}
