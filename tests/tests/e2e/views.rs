//! Streams that do not carry the whole item, and replays that read it.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use streamdex_testkit::engines::SearchEngine;
use streamdex_testkit::report::{dynamodb_local, dynoxide, search_node};
use streamdex_testkit::workload::{Item, Sessions, StreamRecord, lambda_event_of};

use crate::lab::{Lab, Load, now};

async fn follows(endpoint: &str, view: StreamViewType) {
    let Some(node) = search_node(SearchEngine::OpenSearch3).await else { return };
    let what = view.to_string();
    let lab = Lab::new(endpoint, &node.url(), view).await;
    lab.fill(10, 200).await;
    let mut run = lab.start(&["run"]).await;
    let load = Load::start(lab.writer(10));
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.stop().await;
    lab.until_equal(&what, || run.stderr()).await;
    run.stop().await;
    lab.no_letters().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_keys_is_followed() {
    let Some(dynamodb) = dynamodb_local().await else { return };
    follows(&dynamodb.endpoint_url(), StreamViewType::KeysOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_old_images_is_followed() {
    let Some(dynamodb) = dynamodb_local().await else { return };
    follows(&dynamodb.endpoint_url(), StreamViewType::OldImage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_new_images_is_followed() {
    let Some(dynamodb) = dynamodb_local().await else { return };
    follows(&dynamodb.endpoint_url(), StreamViewType::NewImage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynoxide_is_followed_in_every_view() {
    for view in [StreamViewType::KeysOnly, StreamViewType::OldImage, StreamViewType::NewAndOldImages] {
        let dynamodb = dynoxide();
        follows(&dynamodb.endpoint_url(), view).await;
    }
}

/// A record of this item's creation, some time ago.
fn inserted(item: &Item, position: u64) -> StreamRecord {
    StreamRecord { event_name: "INSERT", seconds: now() - 3_600, position, old: None, new: Some(item.clone()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_old_records_writes_what_is_in_the_table_now() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let mut sessions = Sessions::new(10, now());
    let old: Vec<Item> = (0..60).map(|number| sessions.item(Sessions::key_of(number, 0))).collect();
    let records = (1_000..).zip(&old).map(|(position, item)| inserted(item, position));
    lab.write_file("old.json", &lab.of_this_table(&lambda_event_of(records)));
    // One third is as it was, one third has changed since, one third is gone.
    for (number, item) in old.iter().enumerate() {
        lab.put(item.clone()).await;
        match number % 3 {
            0 => {}
            1 => {
                let mut changed = item.clone();
                sessions.change(&mut changed);
                lab.put(changed).await;
            }
            _ => lab.delete(Sessions::key_of(u32::try_from(number).unwrap(), 0)).await,
        }
    }
    // First into an index that knows nothing, then behind a reader of the stream.
    let mut run = lab.start(&["state", "create"]).await;
    assert_eq!(run.ended(Duration::from_secs(60)).await.status, 0, "{}", run.stderr());
    let ended = lab.end(&["replay", "--json", "old.json"]).await;
    assert_eq!((ended.status, ended.summary()["records"].as_u64()), (0, Some(60)), "{ended:?}");
    lab.until_equal("after the first replay", || run.stderr()).await;
    let followed = lab.end(&["run", "--until-end", "--json"]).await;
    assert_eq!(followed.status, 0, "{}", followed.stderr);
    lab.until_equal("after the stream", || run.stderr()).await;

    // A closed index forgets what it knew of deleted documents: nothing but the table stands against the old record.
    let index = lab.concrete();
    assert_eq!(lab.ask(Method::Post, &format!("{index}/_flush")).await.0, 200);
    assert_eq!(lab.ask(Method::Post, &format!("{index}/_close")).await.0, 200);
    assert_eq!(lab.ask(Method::Post, &format!("{index}/_open?wait_for_active_shards=1")).await.0, 200);
    let ended = lab.end(&["replay", "--json", "old.json"]).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(ended.summary()["outcomes"]["dead_lettered"], 0, "{}", ended.stdout);
    lab.until_equal("after the tombstones were forgotten", || run.stderr()).await;
}
