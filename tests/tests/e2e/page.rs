//! The page that `run` serves at `/`, in Chromium: what it shows is what `/status` says, under load, in a pause and in a gap.

use std::path::PathBuf;

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use serde_json::json;
use streamdex_testkit::engines::{Browser, target_folder, workspace_folder};
use streamdex_testkit::fault::{FaultServer, Recorded, Reply, Rule};
use streamdex_testkit::report::browser;
use streamdex_testkit::streams::{NewShard, ServedStream};

use super::program::listening;
use crate::lab::event::insert;
use crate::lab::{CONFIG, LONG, Lab, Load, Node};

/// Where the pictures are left, for people to look at.
fn shots(name: &str) -> PathBuf {
    target_folder().join("page").join(name)
}

/// Looks at the page of this process; what it should say at the top is `expected`.
async fn look(browser: &Browser, node: &Node, name: &str, expected: &str) {
    let (browser, url, shots) = (browser.clone(), format!("{}/", node.url), shots(name));
    let expected = expected.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let (chromium, shots) = (browser.chromium().to_str().unwrap().to_owned(), shots.to_str().unwrap().to_owned());
        let arguments = ["look.py", &url, "--chromium", &chromium, "--shots", &shots, "--expect", &expected];
        browser.run(&arguments, &workspace_folder().join("tests/page")).unwrap()
    });
    let looked = looked.await.unwrap();
    let said = String::from_utf8_lossy(&looked.stdout);
    assert!(looked.status.success(), "{name}: {said}\n{}", String::from_utf8_lossy(&looked.stderr));
}

/// What is scripted: states that a real process is seldom in, hostile texts, thousands of shards, answers that fail.
#[test]
fn the_page_shows_what_it_is_given() {
    let Some(browser) = browser() else { return };
    let folder = workspace_folder().join("tests/page");
    let tested = browser.run(&["-m", "unittest", "discover"], &folder).unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_page_shows_of_a_real_process_is_what_status_says() {
    let Some(browser) = browser() else { return };
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    lab.fill(5, 40).await;
    let (mut run, node) = listening(&lab).await;
    lab.until_equal("before", || run.stderr()).await;
    let load = Load::start(lab.writer(7));
    look(&browser, &node, "load", "up to date").await;
    load.stop().await;

    let settings = format!("{}/_settings", lab.concrete());
    let block = async |on: bool| {
        let (status, answer) = lab.send(Method::Put, &settings, json!({"index.blocks.write": on})).await;
        assert_eq!(status, 200, "{answer}");
    };
    block(true).await;
    lab.fill(6, 10).await;
    run.until_logged("the pause", LONG, |log| log.contains("paused")).await;
    look(&browser, &node, "pause", "paused").await;
    block(false).await;
    lab.until_equal("the block is off", || run.stderr()).await;

    assert_eq!(run.stop().await.status, 0);
}

/// Records of one shard that the stream has lost, as DynamoDB says it.
fn trimmed(shard: &'static str) -> Rule {
    let body = json!({"__type": "com.amazonaws.dynamodb.v20120810#TrimmedDataAccessException", "message": "trimmed"});
    let of_shard = move |request: &Recorded| {
        request.operation() == Some("GetShardIterator") && String::from_utf8_lossy(&request.body).contains(shard)
    };
    Rule::when(of_shard).answer(Reply::json(400, body.to_string()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_one_shard_is_shown_while_the_others_go_on() {
    const SHARDS: [&str; 3] = [
        "shardId-00000001764000000001-aaaaaaaa",
        "shardId-00000001764000000002-bbbbbbbb",
        "shardId-00000001764000000003-cccccccc",
    ];
    let Some(browser) = browser() else { return };
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let stream = ServedStream::start(&lab.table.name);
    let proxy = FaultServer::in_front_of(&stream.endpoint_url());
    for (place, shard) in SHARDS.into_iter().enumerate() {
        stream.open_shard(NewShard::root(shard));
        let position = 1_000 + u64::try_from(place).unwrap();
        stream.append(shard, [insert(stream.stream_arn(), position, shard, r#""city":{"S":"Cork"}"#)]);
    }
    let text = lab.read_file(CONFIG).replace(&lab.endpoint, &proxy.url());
    let state = format!("[state]\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n", lab.endpoint);
    lab.write_file(CONFIG, &text.replace("[state]\n", &state));
    lab.with_source("backfill = \"never\"");
    let (mut run, node) = listening(&lab).await;
    lab.until_counted(3, || run.stderr()).await;
    assert_eq!(run.stop().await.status, 0);
    proxy.add(trimmed(SHARDS[1]));
    // One of them ends, and goes on in a child.
    stream.close_shard(SHARDS[2]);
    stream.open_shard(NewShard::child("shardId-00000001764000000009-dddddddd", SHARDS[2]));
    drop(node);
    let (mut run, node) = listening(&lab).await;
    run.until_logged("the gap", LONG, |log| log.contains("trimmed")).await;
    look(&browser, &node, "gap", "missing").await;
    assert_eq!(run.stop().await.status, 0);
}
