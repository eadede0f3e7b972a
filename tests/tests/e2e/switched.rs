//! The stream is switched off and on again: the old one is read to its end, and then there is a gap.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use streamdex_testkit::compare::{compare_documents, index_documents, table_items};
use streamdex_testkit::workload::{Item, PARTITION_KEY, Sessions};

use super::program::{Ended, Running};
use crate::lab::{Lab, Load, now, session};

const VIEW: StreamViewType = StreamViewType::NewAndOldImages;
/// The stream is listed once in 45 to 75 s.
const NOTICED: Duration = Duration::from_secs(150);
/// So many items come last, with keys from here on.
const LAST: u32 = 200;
const LAST_KEYS: u32 = 5_000;

async fn lab() -> Option<Lab> {
    let lab = Lab::on_opensearch(VIEW).await?;
    lab.fill(31, 100).await;
    Some(lab)
}

/// Puts the last items of the old stream, and gives the table a new one: its ARN.
async fn replace_the_stream(lab: &Lab) -> String {
    let mut sessions = Sessions::new(31, now());
    for number in 0..LAST {
        lab.put(sessions.item(Sessions::key_of(LAST_KEYS + number, 0))).await;
    }
    switch(lab, StreamSpecification::builder().stream_enabled(false).build().unwrap()).await;
    let on = StreamSpecification::builder().stream_enabled(true).stream_view_type(VIEW).build().unwrap();
    let new = switch(lab, on).await.unwrap();
    assert_ne!(new, lab.table.stream_arn);
    new
}

async fn switch(lab: &Lab, specification: StreamSpecification) -> Option<String> {
    let call = lab.client.update_table().table_name(&lab.table.name).stream_specification(specification);
    call.send().await.unwrap().table_description.unwrap().latest_stream_arn
}

fn is_ended_by_the_gap(ended: &Ended, new: &str) {
    println!("{}", ended.stderr);
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains(new) && ended.stderr.contains("hint"), "{}", ended.stderr);
}

/// The gap stands in the state table, and nothing of the old stream is missing.
async fn is_recorded_and_drained(lab: &Lab) {
    let gaps = lab.state_rows("sk", "gap|").await;
    let label = lab.table.stream_arn.rsplit('/').next().unwrap();
    let keys: Vec<&str> = gaps.iter().map(|gap| gap["sk"].as_s().unwrap().as_str()).collect();
    assert_eq!(keys, [format!("gap|{label}|stream_replaced|{}", lab.table.stream_arn)]);
    let is_last = |item: &Item| item[PARTITION_KEY].as_s().unwrap().as_str() >= "user-005";
    let items = table_items(&lab.client, &lab.table.name).await;
    let last = items.iter().filter(|item| is_last(item)).filter_map(session);
    let expected: BTreeMap<String, String> = last.map(|expected| (expected.id, expected.document)).collect();
    assert_eq!(expected.len(), usize::try_from(LAST).unwrap());
    let mut found = index_documents(lab.node(), &lab.index).await;
    found.retain(|id, _| expected.contains_key(id));
    let differences = compare_documents(&expected, &found);
    assert!(differences.is_empty(), "the old stream was not drained: {differences:?}");
    lab.no_letters().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_replaced_is_drained_and_a_gap_ends_every_replica() {
    let Some(lab) = lab().await else { return };
    let mut replicas = [lab.start(&["run"]).await, lab.start(&["run"]).await];
    let logs = |replicas: &[Running; 2]| replicas.each_ref().map(Running::stderr).join("\n");
    lab.until_equal("before", || logs(&replicas)).await;

    let load = Load::start(lab.writer(31).writes_per_second(100));
    let new = replace_the_stream(&lab).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.stop().await;
    for replica in &mut replicas {
        is_ended_by_the_gap(&replica.ended(NOTICED).await, &new);
    }
    is_recorded_and_drained(&lab).await;
    // Started again it does not go on as if nothing had been.
    let again = lab.end(&["run"]).await;
    assert_eq!(again.status, 4, "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_replaced_while_nobody_followed_is_drained_first() {
    let Some(lab) = lab().await else { return };
    let mut run = lab.start(&["run"]).await;
    lab.until_equal("before", || run.stderr()).await;
    run.stop().await;
    let new = replace_the_stream(&lab).await;
    let mut run = lab.start(&["run"]).await;
    is_ended_by_the_gap(&run.ended(NOTICED).await, &new);
    is_recorded_and_drained(&lab).await;
    // Nothing was written between the two streams.
    let closed = lab.end(&["gap", "close", "--all", "--yes"]).await;
    assert_eq!(closed.status, 0, "{}", closed.stderr);
    lab.put(Sessions::new(31, now()).item(Sessions::key_of(LAST_KEYS + LAST, 0))).await;
    let mut run = lab.start(&["run"]).await;
    lab.until_equal("with the new stream", || run.stderr()).await;
    assert_eq!(run.stop().await.status, 0);
}
