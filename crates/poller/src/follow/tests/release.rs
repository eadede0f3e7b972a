//! How a lease is given back, and what the next reader makes of it (rule L5).

use std::sync::atomic::Ordering;

use super::{Bench, seconds};

impl Bench {
    fn lease(&self) -> crate::state::StoredLease {
        self.store.loaded().lease.unwrap()
    }

    fn doubts(&self) -> u64 {
        self.index.doubts.load(Ordering::SeqCst)
    }
}

fn reading() -> Bench {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    bench
}

#[tokio::test(start_paused = true)]
async fn l5_a_lease_is_clean_where_no_request_is_in_doubt() {
    let bench = reading();
    let running = bench.follow();
    seconds(3).await;
    assert!(bench.lease().unclean, "while somebody reads");
    running.stop().await;
    assert_eq!((bench.lease().owner, bench.lease().unclean), (None, false));
    bench.follow().stop_after(3).await;
    assert_eq!((bench.doubts(), bench.lease().unclean), (0, false));
}

#[tokio::test(start_paused = true)]
async fn l5_a_request_that_was_not_answered_is_in_doubt_for_the_next_reader_and_the_one_after_it() {
    let bench = reading();
    let running = bench.follow();
    seconds(3).await;
    bench.index.unanswered.fetch_add(1, Ordering::SeqCst);
    seconds(3).await;
    running.stop().await;
    assert_eq!((bench.lease().owner, bench.lease().unclean, bench.doubts()), (None, true, 0));
    // Too soon: it may still be carried out.
    bench.follow().stop_after(60).await;
    assert_eq!((bench.lease().owner, bench.lease().unclean, bench.doubts()), (None, true, 1));
    bench.follow().stop_after(12 * 60).await;
    assert_eq!((bench.lease().unclean, bench.doubts()), (false, 2));
    bench.follow().stop_after(3).await;
    assert_eq!(bench.doubts(), 2);
}

#[tokio::test(start_paused = true)]
async fn l5_a_lease_is_not_given_back_while_a_request_is_under_way() {
    let bench = reading();
    let running = bench.follow();
    seconds(3).await;
    bench.index.in_flight.store(1, Ordering::SeqCst);
    running.stop().await;
    assert!(bench.lease().owner.is_some() && bench.lease().unclean);
    // It expires.
    bench.index.in_flight.store(0, Ordering::SeqCst);
    bench.stream.put("a", [4]);
    bench.follow().stop_after(12).await;
    assert_eq!((bench.index.written(), bench.doubts()), (vec![1, 2, 3, 4], 1));
}
