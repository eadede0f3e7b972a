//! The stream is switched off and on again under load: the old one is read to its end, and then there is a gap.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use streamdex_testkit::compare::{compare_documents, index_documents, table_items};
use streamdex_testkit::engines::SearchEngine;
use streamdex_testkit::report::{dynamodb_local, search_node};
use streamdex_testkit::workload::{Item, PARTITION_KEY, Sessions};

use crate::lab::{Lab, Load, now, session};

const VIEW: StreamViewType = StreamViewType::NewAndOldImages;
/// The stream is listed once in 45 to 75 s.
const NOTICED: Duration = Duration::from_secs(100);
/// The last items of the old stream: so many, with keys from here on.
const LAST: (u32, u32) = (200, 5_000);

async fn switch(lab: &Lab, specification: StreamSpecification) -> Option<String> {
    let call = lab.client.update_table().table_name(&lab.table.name).stream_specification(specification);
    call.send().await.unwrap().table_description.unwrap().latest_stream_arn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_replaced_is_drained_and_a_gap_ends_every_replica() {
    let (Some(node), Some(dynamodb)) = (search_node(SearchEngine::OpenSearch3).await, dynamodb_local().await) else {
        return;
    };
    let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), VIEW).await;
    lab.fill(31, 100).await;
    let mut replicas = [lab.start(&["run"]).await, lab.start(&["run"]).await];
    let logs = |replicas: &[super::program::Running; 2]| replicas.each_ref().map(|each| each.stderr()).join("\n");
    lab.until_equal("before", || logs(&replicas)).await;

    let load = Load::start(lab.writer(31).writes_per_second(100));
    let mut sessions = Sessions::new(31, now());
    for number in 0..LAST.0 {
        lab.put(sessions.item(Sessions::key_of(LAST.1 + number, 0))).await;
    }
    switch(&lab, StreamSpecification::builder().stream_enabled(false).build().unwrap()).await;
    let on = StreamSpecification::builder().stream_enabled(true).stream_view_type(VIEW).build().unwrap();
    let new = switch(&lab, on).await.unwrap();
    assert_ne!(new, lab.table.stream_arn);
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.stop().await;

    for replica in &mut replicas {
        let ended = replica.ended(NOTICED).await;
        println!("{}", ended.stderr);
        assert_eq!(ended.status, 4, "{}", ended.stderr);
        assert!(ended.stderr.contains(&new) && ended.stderr.contains("hint"), "{}", ended.stderr);
    }
    let gaps = lab.state_rows("sk", "gap|").await;
    let label = lab.table.stream_arn.rsplit('/').next().unwrap();
    let keys: Vec<&str> = gaps.iter().map(|gap| gap["sk"].as_s().unwrap().as_str()).collect();
    assert_eq!(keys, [format!("gap|{label}|stream_replaced|{}", lab.table.stream_arn)]);
    let is_last = |item: &Item| item[PARTITION_KEY].as_s().unwrap().as_str() >= "user-005";
    let items = table_items(&lab.client, &lab.table.name).await;
    let last = items.iter().filter(|item| is_last(item)).filter_map(session);
    let expected: BTreeMap<String, String> = last.map(|expected| (expected.id, expected.document)).collect();
    assert_eq!(expected.len(), usize::try_from(LAST.0).unwrap());
    let mut found = index_documents(lab.node(), &lab.index).await;
    found.retain(|id, _| expected.contains_key(id));
    let differences = compare_documents(&expected, &found);
    assert!(differences.is_empty(), "the old stream was not drained: {differences:?}");

    // Started again it does not go on as if nothing had been.
    let again = lab.end(&["run"]).await;
    assert_eq!(again.status, 4, "{}", again.stderr);
    lab.no_letters().await;
}
