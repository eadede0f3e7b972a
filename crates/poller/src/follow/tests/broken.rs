//! Defects: a task that panics ends the follower, which ends the process, or is started again and counted.

use std::time::Duration;

use super::{Bench, seconds};
use crate::follow::FollowError;

/// A shard that is read to its end, so that all kinds of calls and writes are made.
fn rolled_over() -> Bench {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).close("a").shard("b", Some("a")).put("b", 4..=6);
    bench
}

#[tokio::test(start_paused = true)]
async fn b14_a_task_that_breaks_beside_the_shards_ends_the_follower() {
    for call in ["DescribeStream", "children"] {
        let bench = rolled_over();
        *bench.stream.broken.lock().unwrap() = call;
        is_broken(bench, call).await;
    }
    for item in ["stream|", "lease", "shard|L1|b", "done|"] {
        let bench = rolled_over();
        *bench.store.broken_for.lock().unwrap() = item;
        is_broken(bench, item).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b14_a_gap_whose_writing_breaks_ends_the_follower() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    bench.follow().stop_after(5).await;
    bench.stream.vanish("a");
    *bench.store.broken_for.lock().unwrap() = "gap|";
    is_broken(bench, "gap|").await;
}

async fn is_broken(bench: Bench, what: &str) {
    let running = bench.follow();
    let ended = tokio::time::timeout(Duration::from_secs(300), running.task).await;
    let ended = ended.unwrap_or_else(|_| panic!("{what}: it goes on"));
    // A panic in the follower's own task reaches whoever spawned it.
    assert!(matches!(ended, Err(_) | Ok(Err(FollowError::Broken))), "{what}: {ended:?}");
}

#[tokio::test(start_paused = true)]
async fn b14_a_shard_whose_task_breaks_is_started_again_and_the_others_go_on() {
    for call in ["GetShardIterator", "GetRecords"] {
        let bench = rolled_over();
        *bench.stream.broken.lock().unwrap() = call;
        let running = bench.follow();
        seconds(20).await;
        let restarts = running.board.snapshot().counters.task_restarts;
        assert!((3..=6).contains(&restarts), "{call}: {restarts}");
        *bench.stream.broken.lock().unwrap() = "";
        seconds(60).await;
        assert_eq!(bench.index.written(), [1, 2, 3, 4, 5, 6], "{call}");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn b4_an_error_on_a_page_of_a_listing_does_not_throw_the_others_away() {
    let bench = Bench::default();
    for shard in 0..40 {
        bench.stream.shard(&format!("s{shard:02}"), None);
    }
    *bench.stream.bad_page.lock().unwrap() = (7, 3);
    let running = bench.follow();
    seconds(20).await;
    let pages = bench.stream.pages.lock().unwrap().clone();
    // Two complete listings for the pin and one of the supervisor, ten pages each, and the failed calls.
    assert_eq!(pages.iter().filter(|page| page.is_none()).count(), 3, "{pages:?}");
    assert_eq!(pages.len(), 33);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn b1_empty_pages_of_a_closed_shard_are_not_its_end() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).empty_pages("a", 30).close("a");
    bench.stream.shard("b", Some("a")).put("b", 4..=6);
    let followed = bench.until_end().await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(followed.end, super::FollowEnd::PresentEnd);
}
