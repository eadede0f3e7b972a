//! How shards, runs and stops end.

use super::*;

#[tokio::test(start_paused = true)]
async fn l12_an_open_shard_does_not_end_where_answers_leave_the_iterator_out() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow();
    seconds(3).await;
    bench.stream.blank("a", 40).put("a", 4..=5);
    seconds(120).await;
    bench.stream.put("a", 6..=6);
    seconds(10).await;
    assert_eq!(bench.stream.blanks_left("a"), 0);
    assert_eq!(bench.index.written(), (1..=6).collect::<Vec<_>>());
    assert!(matches!(bench.store.shard("a"), Some(ShardProgress::Open(_))));
    let status = running.stop().await.status;
    assert!(status.counters.incomplete_answers > 0 && status.gaps.is_empty(), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn l12_a_closed_shard_with_a_backlog_is_read_on() {
    let bench = Bench::default();
    bench.stream.page_size(10).shard("a", None).put("a", 1..=100).shard("b", Some("a")).put("b", 200..=201).close("a");
    // A blank answer in the middle: the shard is closed by each sign, and not at its end.
    bench.stream.blank("a", 1);
    let running = bench.follow();
    seconds(20).await;
    assert_eq!(bench.index.written(), (1..=100).chain(200..=201).collect::<Vec<_>>());
    assert_eq!(bench.store.shard("a"), Some(ShardProgress::Done));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn l12_the_end_is_confirmed_by_an_iterator_after_the_last_record() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).shard("b", Some("a")).close("a");
    let running = bench.follow();
    seconds(5).await;
    running.stop().await;
    let iterators = bench.stream.iterators.lock().unwrap();
    let of_a: Vec<_> = iterators.iter().filter(|(shard, _)| shard == "a").map(|(_, position)| position).collect();
    let after = Position::After(SequenceNumber::parse("3").unwrap());
    assert_eq!(of_a, [&Position::TrimHorizon, &after]);
    assert_eq!(bench.store.shard("a"), Some(ShardProgress::Done));
}

/// An endpoint that leaves the next iterator out on open shards: its last empty answer may be older than the last record.
#[tokio::test(start_paused = true)]
async fn l12_an_answer_from_before_the_end_does_not_prove_it() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=1);
    let running = bench.follow();
    seconds(3).await;
    bench.stream.blank("a", 1_000);
    seconds(2).await;
    bench.stream.delay("a", Duration::from_secs(5));
    seconds(2).await;
    bench.stream.blank("a", 0).put("a", 2..=2).close("a").delay("a", Duration::ZERO);
    bench.stream.shard("b", Some("a")).put("b", 3..=3);
    seconds(20).await;
    assert_eq!(bench.index.written(), [1, 2, 3]);
    running.stop().await;
}

/// Its answers say that it is at its end, and its child is not shown yet. The ending number shows in the next listing.
#[tokio::test(start_paused = true)]
async fn until_the_present_end_a_shard_that_was_just_closed_is_read_to_its_end_and_its_child_follows() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow_until_end();
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.stream.close("a");
    seconds(5).await;
    bench.stream.shard("b", Some("a")).put("b", 4..=5);
    assert_eq!(running.end().await.end, FollowEnd::PresentEnd);
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 5]);
    assert_eq!(bench.store.shard("a"), Some(ShardProgress::Done));
}

/// It is closed after the first listing, and has empty pages in its middle.
#[tokio::test(start_paused = true)]
async fn until_the_present_end_a_shard_that_has_a_child_by_now_is_read_on() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow_until_end();
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.stream.empty_pages("a", 30).put("a", 4..=5).close("a").shard("b", Some("a")).put("b", 6..=7);
    assert_eq!(running.end().await.end, FollowEnd::PresentEnd);
    assert_eq!(bench.index.written(), (1..=7).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn until_the_present_end_of_a_shard_whose_answers_leave_the_iterator_out() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow_until_end();
    tokio::time::sleep(Duration::from_millis(500)).await;
    bench.stream.blank("a", 1_000);
    assert_eq!(running.end().await.end, FollowEnd::PresentEnd);
    assert_eq!(bench.index.written(), [1, 2, 3]);
    assert!(bench.stream.blanks_left("a") > 900);
}

#[tokio::test(start_paused = true)]
async fn until_the_present_end() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).close("a").shard("b", Some("a")).put("b", 10..=11).shard("z", None);
    let followed = bench.until_end().await;
    assert_eq!(followed.end, FollowEnd::PresentEnd);
    assert_eq!(followed.status.tally.applied, 5);
    assert_eq!(bench.store.shard("a"), Some(ShardProgress::Done));
    assert_eq!(bench.store.position("b").as_deref(), Some("11"));
    assert!(matches!(bench.store.shard("b"), Some(ShardProgress::Open(_))));
}

#[tokio::test(start_paused = true)]
async fn until_the_present_end_a_later_record_ends_the_shard_and_is_applied() {
    let bench = Bench::default();
    bench.stream.page_size(1).shard("a", None).put("a", 1..=2).put_at("a", 3..=3, 4_000_000_000).put("a", 4..=9);
    let followed = bench.until_end().await;
    assert_eq!((followed.end, bench.index.written()), (FollowEnd::PresentEnd, vec![1, 2, 3]));
}

/// Nobody reads the shard again, so that nobody would notice.
#[tokio::test(start_paused = true)]
async fn an_index_lost_before_the_end_of_a_shard_is_a_gap_and_the_shard_is_not_drained() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).page_size(1).close("a").shard("b", Some("a"));
    let running = bench.follow();
    while bench.index.written().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.store.position("a").as_deref(), Some("1"), "the first page is checkpointed at once");
    bench.index.vanished.store(true, Ordering::SeqCst);
    assert_eq!(running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.store.position("a").as_deref(), Some("1"));
    assert_eq!(bench.store.gaps(), [("index_vanished", "sessions-000001".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_page_in_hand_and_is_over_in_ten_seconds() {
    let bench = Bench::default();
    bench.stream.page_size(2).shard("a", None).put("a", 1..=10);
    bench.index.slow.store(3_000, Ordering::SeqCst);
    let running = bench.follow();
    seconds(2).await;
    running.stop().await;
    assert_eq!(bench.index.written(), [1, 2]);
    assert_eq!(bench.store.position("a").as_deref(), Some("2"));
    bench.index.slow.store(3_600_000, Ordering::SeqCst);
    let running = bench.follow();
    seconds(3).await;
    let asked = Instant::now();
    let followed = running.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(followed.end, FollowEnd::Stopped);
    assert_eq!(bench.store.position("a").as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_stores_what_was_written_since_the_last_checkpoint() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).page_size(1);
    let running = bench.follow();
    while bench.index.written().len() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.store.position("a").as_deref(), Some("1"), "checkpoints are a second apart");
    running.stop().await;
    assert_eq!(bench.store.position("a").as_deref(), Some("3"));
}
