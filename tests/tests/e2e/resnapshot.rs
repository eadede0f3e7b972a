//! `on_gap = "resnapshot"`: what was lost in a gap comes back without anybody's doing.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use streamdex_testkit::workload::{Item, Sessions};
use tokio::time::{sleep, timeout};

use super::program::Running;
use crate::lab::{Lab, Load, now};

const VIEW: StreamViewType = StreamViewType::NewAndOldImages;
/// A stream is listed once in 45 to 75 s; then come twice the margin of reads, and the lag.
const COMPARED_WITHIN: Duration = Duration::from_secs(480);

async fn followed(items: u32) -> Option<(Lab, Running)> {
    let lab = Lab::on_opensearch(VIEW).await?;
    lab.with_source("on_gap = \"resnapshot\"");
    lab.fill(41, items).await;
    let run = lab.start(&["run"]).await;
    lab.until_equal("before", || run.stderr()).await;
    Some((lab, run))
}

impl Lab {
    /// Until the index holds all that the table holds, and says so.
    async fn until_compared(&self, replicas: &[Running]) {
        let logs = || replicas.iter().map(Running::stderr).collect::<Vec<_>>().join("\n");
        let waited = timeout(COMPARED_WITHIN, async {
            while !(logs().contains("the index equals the table") && self.is_whole().await) {
                sleep(Duration::from_millis(500)).await;
            }
        });
        assert!(waited.await.is_ok(), "{}", logs());
        println!("{}", logs());
        // Two replicas can meet one gap, each of them once.
        let closed = logs().matches("on_gap = \"resnapshot\": gap closed").count();
        assert!((1..=replicas.len()).contains(&closed), "{closed} gaps");
    }

    async fn is_whole(&self) -> bool {
        let is_complete = |record: &Item| record["state"].as_s().is_ok_and(|state| state == "complete");
        self.state_rows("sk", "gap|").await.is_empty()
            && self.state_rows("sk", "segments").await.iter().all(is_complete)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_are_in_no_stream_are_written_and_deletes_among_them() {
    let Some((lab, run)) = followed(100).await else { return };
    let standby = lab.start(&["run"]).await;
    // Of keys that the load does not touch.
    let (mut sessions, key) = (Sessions::new(41, now()), |number: u32| Sessions::key_of(7_000 + number, 0));
    for number in 0..40 {
        lab.put(sessions.item(key(number))).await;
    }
    lab.until_equal("before the stream is switched off", || run.stderr()).await;
    lab.set_stream(None).await;
    for number in 0..20 {
        lab.delete(key(number)).await;
        lab.put(sessions.item(key(20 + number))).await;
        lab.put(sessions.item(key(40 + number))).await;
    }
    lab.set_stream(Some(VIEW)).await;
    let load = Load::start(lab.writer(42).writes_per_second(50));
    let mut replicas = [run, standby];
    lab.until_compared(&replicas).await;
    let repaired =
        replicas.iter().find_map(|replica| replica.stderr().split_once(" repaired=").map(|(_, it)| it[..2].to_owned()));
    assert_eq!(repaired.as_deref(), Some("60"), "deleted, changed and new ones, 20 each");
    load.stop().await;
    lab.until_equal("after the gap", || replicas[0].stderr()).await;
    lab.no_letters().await;
    for replica in &mut replicas {
        assert_eq!(replica.stop().await.status, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_deleted_is_made_again_and_filled() {
    let Some((lab, run)) = followed(300).await else { return };
    assert_eq!(lab.ask(Method::Delete, &lab.concrete()).await.0, 200);
    lab.put(Sessions::new(41, now()).item(Sessions::key_of(7_000, 0))).await;
    let mut replicas = [run];
    lab.until_compared(&replicas).await;
    lab.until_equal("after the gap", || replicas[0].stderr()).await;
    lab.no_letters().await;
    assert_eq!(replicas[0].stop().await.status, 0);
}
