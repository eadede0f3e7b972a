//! Streams that end or are replaced, and what listings leave out.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_switched_off_is_read_to_its_end_however_long_that_takes() {
    let bench = Bench::default();
    bench
        .stream
        .page_size(1)
        .shard("a", None)
        .put("a", 1..=50)
        .close("a")
        .shard("b", Some("a"))
        .put("b", 60..=80)
        .close("b");
    bench.index.slow.store(5_000, Ordering::SeqCst);
    bench.stream.disable(Some("arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/L2"));
    assert_eq!(bench.follow().end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.index.written(), (1..=50).chain(60..=80).collect::<Vec<_>>());
    assert_eq!(bench.store.gaps(), [("stream_replaced", ARN.to_owned())]);
}

/// Its child is listed, and no listing shows it.
#[tokio::test(start_paused = true)]
async fn l9_a_young_parent_that_no_listing_shows_is_read_by_its_name() {
    let bench = Bench::default();
    let parent = format!("shardId-{:020}-0a1b2c3d", (EPOCH - 600) * 1_000);
    bench.stream.shard(&parent, None).put(&parent, 1..=3).hide(&parent).close(&parent);
    bench.stream.shard("b", Some(&parent)).put("b", 4..=5);
    let followed = bench.follow().stop_after(120).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 5]);
    assert_eq!(followed.status.gaps, []);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_switched_off_and_on_is_a_gap_once_it_is_drained() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow();
    seconds(2).await;
    bench.stream.put("a", 4..=5).close("a").disable(Some("arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/L2"));
    assert_eq!(running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 5]);
    assert_eq!(bench.store.gaps(), [("stream_replaced", ARN.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_stream_is_a_gap() {
    let bench = Bench::default();
    bench.stream.shard("a", None);
    let running = bench.follow();
    seconds(2).await;
    bench.stream.delete();
    assert_eq!(running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.store.gaps(), [("stream_vanished", ARN.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn another_stream_of_the_same_table_is_a_gap() {
    let bench = Bench::default();
    bench.stream.shard("a", None);
    bench.store.set("stream|L0", Item::new());
    assert_eq!(bench.follow().end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.store.gaps(), [("stream_replaced", ARN.to_owned())]);
}
