//! An index that refuses every document for a while.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use streamdex_testkit::fault::{FaultServer, ItemError, Rule};

use super::program::lines;
use crate::lab::{LONG, Lab};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_run_begins_braked_where_it_stopped_braked_and_nothing_is_lost() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let front = FaultServer::in_front_of(lab.node());
    lab.configure(&front.url(), "brake_after = 10", "");
    let mut run = lab.start(&["run"]).await;
    let mut writer = lab.writer(2);
    writer.write(50).await;
    lab.until_equal("before", || run.stderr()).await;
    run.stop().await;

    let reason = "no write index is defined for alias [x]";
    let refused = ItemError::new(400, "illegal_argument_exception").reason(reason);
    front.add(Rule::bulk().withhold_items(refused, |_, operation| operation.kind == "index"));
    // Together in one page: fewer than the bound, with nothing behind them, would be dead letters after a while.
    writer.write(60).await;
    let mut run = lab.start(&["run"]).await;
    let braked = |log: &str| lines(log, "documents_refused").iter().any(|line| line.contains("paused: "));
    run.until_logged("the brake", LONG, braked).await;
    let on_record = async {
        while lab.state_rows("sk", "brake|").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(LONG, on_record).await.expect("the brake is on record");
    println!("{}", run.stop().await.stderr);

    // Another process: fewer documents than the bound, and none of them is a dead letter.
    let mut run = lab.start(&["run"]).await;
    writer.write(5).await;
    run.until_logged("the brake of the earlier process", LONG, braked).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    run.must_run();
    lab.no_letters().await;
    front.clear_rules();
    lab.until_equal("after the index takes documents again", || run.stderr()).await;
    println!("{}", run.stop().await.stderr);
    lab.no_letters().await;
}
