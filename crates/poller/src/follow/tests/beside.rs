//! What is done beside reading.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use streamdex_delivery::backfill::{BackfillRecord, FilledBy};
use streamdex_dynamodb::state::Operation;

use super::{Bench, FakeIndex, seconds};
use crate::beside::{Beside, Held, Undecided};
use crate::state::StreamStart;
use crate::status::Fill;

#[derive(Default)]
struct FakeBeside {
    index: Arc<FakeIndex>,
    /// How often it cannot decide.
    undecided: AtomicU64,
    /// What was written when it decided.
    seen: Mutex<Option<usize>>,
    breaks: bool,
    begun: AtomicU64,
    ended: AtomicU64,
    allowed_to_write: AtomicBool,
}

#[async_trait]
impl Beside for FakeBeside {
    async fn decide(&self, _start: &StreamStart) -> Result<Operation, Undecided> {
        let again = |left: u64| left.checked_sub(1);
        if self.undecided.fetch_update(Ordering::SeqCst, Ordering::SeqCst, again).is_ok() {
            return Err(Undecided { reason: "no answer".into(), hint: String::new(), passes: true });
        }
        *self.seen.lock().unwrap() = Some(self.index.written().len());
        Ok(BackfillRecord::new(FilledBy::Run, 2, 7, 1).replace())
    }

    async fn work(&self, held: Held) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        assert!(!self.breaks, "it breaks");
        self.allowed_to_write.store(held.permit.is_granted(), Ordering::SeqCst);
        held.stop.cancelled().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

fn bench(beside: FakeBeside) -> (Bench, Arc<FakeBeside>) {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let beside = Arc::new(FakeBeside { index: bench.index.clone(), ..beside });
    (Bench { beside: Some(beside.clone()), ..bench }, beside)
}

#[tokio::test(start_paused = true)]
async fn b1_what_is_to_be_done_is_stored_with_the_pin_before_the_first_record() {
    let (bench, beside) = bench(FakeBeside { undecided: 2.into(), ..FakeBeside::default() });
    let running = bench.follow();
    seconds(5).await;
    assert_eq!((*beside.seen.lock().unwrap(), bench.index.written()), (Some(0), vec![1, 2, 3]));
    assert_eq!(bench.store.loaded().backfill.map(|record| record.expected), Some(7));
    assert!(beside.allowed_to_write.load(Ordering::SeqCst));
    running.stop().await;
    assert_eq!(beside.ended.load(Ordering::SeqCst), 1, "it is given time to end");
    // It is decided once.
    bench.follow().stop_after(3).await;
    assert_eq!((beside.begun.load(Ordering::SeqCst), beside.undecided.load(Ordering::SeqCst)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_next_reader_shows_what_is_recorded_and_a_standby_does_not() {
    let (bench, _) = bench(FakeBeside::default());
    bench.follow().stop_after(3).await;
    let running = bench.follow();
    seconds(3).await;
    let fill = running.board.snapshot().fill;
    assert!(matches!(&fill, Fill::Partial(Some(record)) if record.expected == 7), "{fill:?}");
    let standby = bench.follow_as(bench.store.session(), bench.index.clone(), bench.settings());
    seconds(3).await;
    assert_eq!(standby.board.snapshot().fill, Fill::Unknown);
    running.stop().await;
    standby.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_where_it_breaks() {
    let (bench, beside) = bench(FakeBeside { breaks: true, ..FakeBeside::default() });
    let running = bench.follow();
    seconds(3).await;
    bench.stream.put("a", [4]);
    seconds(3).await;
    running.stop().await;
    assert_eq!((bench.index.written(), beside.begun.load(Ordering::SeqCst)), (vec![1, 2, 3, 4], 1));
}
