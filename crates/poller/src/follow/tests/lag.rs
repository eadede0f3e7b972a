//! The lag that is shown.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_last_page_of_a_closed_shard_is_not_the_present_end() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=1);
    let running = bench.follow();
    seconds(20).await;
    assert_eq!(running.board.snapshot().lag(), Some(Duration::ZERO));
    // Its child, which nobody knows yet, has been written to for a while.
    bench.stream.put("a", 2..=2).close("a");
    seconds(2).await;
    assert!(bench.index.written().contains(&2));
    assert!(running.board.snapshot().lag() > Some(Duration::ZERO));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_suspended_shows_the_lag_of_its_sleep() {
    const HOUR: u64 = 60 * 60;
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=1);
    let running = bench.follow();
    seconds(10).await;
    assert_eq!(running.board.snapshot().lag(), Some(Duration::ZERO));
    bench.store.suspended.store(10 * HOUR, Ordering::SeqCst);
    bench.index.slow.store(20_000, Ordering::SeqCst);
    seconds(2).await;
    bench.stream.put_at("a", 2..=2, i64::try_from(EPOCH + HOUR).unwrap());
    seconds(4).await;
    assert!(
        running.board.snapshot().lag() >= Some(Duration::from_secs(10 * HOUR)),
        "{:?}",
        running.board.snapshot().lag()
    );
    seconds(30).await;
    assert_eq!(running.board.snapshot().lag(), Some(Duration::ZERO));
    running.stop().await;
}
