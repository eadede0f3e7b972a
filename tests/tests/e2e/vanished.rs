//! The index is deleted under `run`: a gap, and what comes in its place is left alone.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use streamdex_testkit::compare::index_documents;
use streamdex_testkit::workload::{Item, Sessions};
use tokio::time::sleep;

use super::program::{Ended, Running};
use crate::lab::{CONFIG, Lab, now, session};

/// A checkpoint is written about once a second; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A program that runs, and whose index was deleted.
struct Lost {
    lab: Lab,
    run: Running,
    uuid: String,
}

async fn lost() -> Option<Lost> {
    let lab = Lab::on_opensearch(StreamViewType::NewAndOldImages).await?;
    lab.fill(6, 40).await;
    let run = lab.start(&["run"]).await;
    lab.until_equal("before", || run.stderr()).await;
    let uuid = uuid(&lab).await.unwrap();
    assert_eq!(lab.ask(Method::Delete, &lab.concrete()).await.0, 200);
    Some(Lost { lab, run, uuid })
}

async fn uuid(lab: &Lab) -> Option<String> {
    let index = lab.concrete();
    let (status, answer) = lab.ask(Method::Get, &format!("{index}/_settings/index.uuid?flat_settings=true")).await;
    (status == 200).then(|| answer[&index]["settings"]["index.uuid"].as_str().unwrap().to_owned())
}

/// What every end by a lost index has in common.
async fn is_a_recorded_gap(lab: &Lab, ended: &Ended, lost: &str) {
    println!("{}", ended.stderr);
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains(&lab.concrete()) && ended.stderr.contains("hint"), "{}", ended.stderr);
    assert!(ended.stderr.contains(lost), "the lost index's UUID {lost}:\n{}", ended.stderr);
    let gaps = lab.state_rows("sk", "gap|").await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let key = gaps[0]["sk"].as_s().unwrap();
    assert!(key.contains("index_vanished") && key.contains(&lab.concrete()), "{key}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_deleted_is_a_gap_and_its_impostor_is_named() {
    let Some(Lost { lab, mut run, uuid: lost }) = lost().await else { return };
    // A delete with an external version makes the index again, whatever its parameters say.
    lab.delete(Sessions::key_of(0, 0)).await;
    let ended = run.ended(SOON).await;
    is_a_recorded_gap(&lab, &ended, &lost).await;
    let impostor = uuid(&lab).await;
    if let Some(impostor) = &impostor {
        assert!(ended.stderr.contains(impostor) && ended.stderr.contains("is not touched"), "{}", ended.stderr);
    }
    // Started again it does not go on as if nothing had been, and touches nothing.
    lab.put(Sessions::new(6, now()).item(Sessions::key_of(90, 0))).await;
    let again = lab.start(&["run"]).await.ended(SOON).await;
    assert_eq!(again.status, 4, "{}", again.stderr);
    assert_eq!(uuid(&lab).await, impostor);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_in_the_place_of_the_deleted_one_is_named_and_left_alone() {
    let Some(Lost { lab, mut run, uuid: lost }) = lost().await else { return };
    assert_eq!(lab.ask(Method::Put, &lab.concrete()).await.0, 200);
    let impostor = uuid(&lab).await.unwrap();
    lab.put(Sessions::new(6, now()).item(Sessions::key_of(90, 0))).await;
    let ended = run.ended(SOON).await;
    is_a_recorded_gap(&lab, &ended, &lost).await;
    assert!(ended.stderr.contains(&impostor) && ended.stderr.contains("is not touched"), "{}", ended.stderr);
    assert_eq!(uuid(&lab).await, Some(impostor));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_after_the_index_was_deleted_is_no_quiet_new_beginning() {
    let Some(Lost { lab, mut run, uuid: lost }) = lost().await else { return };
    lab.put(Sessions::new(6, now()).item(Sessions::key_of(90, 0))).await;
    let ended = run.ended(SOON).await;
    is_a_recorded_gap(&lab, &ended, &lost).await;
    // It is asked for first, and nobody can answer here.
    assert_eq!(lab.end(&["gap", "close", "--all"]).await.status, 2);
    let closed = lab.end(&["gap", "close", &lab.concrete(), "--yes"]).await;
    assert_eq!((closed.status, closed.stdout.contains("1 closed")), (0, true), "{}", closed.stderr);
    assert_eq!(lab.state_rows("sk", "gap|").await, []);
    let mut run = lab.start(&["run"]).await;
    is_visible(&lab, Sessions::new(6, now()).item(Sessions::key_of(91, 0)), &run).await;
    assert_eq!(run.stop().await.status, 0);
    let nothing = lab.end(&["gap", "close", "--all", "--json"]).await;
    assert_eq!((nothing.status, nothing.stdout.trim()), (0, r#"{"closed":[],"interrupted":false}"#));
}

/// Waits until the item is in the index.
async fn is_visible(lab: &Lab, item: Item, run: &Running) {
    let expected = session(&item).unwrap();
    lab.put(item).await;
    let begun = Instant::now();
    while !index_documents(lab.node(), &lab.index).await.contains_key(&expected.id) {
        assert!(begun.elapsed() < SOON, "{}", run.stderr());
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l7_a_group_whose_state_is_lost_does_not_begin_as_if_nothing_had_been() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    lab.fill(7, 40).await;
    let mut run = lab.start(&["run"]).await;
    lab.until_equal("before", || run.stderr()).await;
    run.stop().await;
    lab.client.delete_table().table_name(&lab.state).send().await.unwrap();

    let mut run = lab.start(&["run"]).await;
    let ended = run.ended(SOON).await;
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("gap=\"state_lost\"") || ended.stderr.contains("state_lost"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&lab.concrete()) && ended.stderr.contains("gap close"), "{}", ended.stderr);
    assert_eq!(lab.end(&["run"]).await.status, 4);
    // Another group has nothing to do with it.
    let own = lab.read_file(CONFIG);
    lab.use_group("another");
    assert_eq!(lab.end(&["run", "--until-end"]).await.status, 0);
    lab.write_file(CONFIG, &own);

    let closed = lab.end(&["gap", "close", "--all", "--yes"]).await;
    assert_eq!(closed.status, 0, "{}", closed.stderr);
    let mut run = lab.start(&["run"]).await;
    is_visible(&lab, Sessions::new(7, now()).item(Sessions::key_of(91, 0)), &run).await;
    lab.until_equal("after the gap was closed", || run.stderr()).await;
    assert_eq!(run.stop().await.status, 0);
}
