//! Several workers of one group.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fakes::{FakeIndex, FakeSession};
use super::{Bench, Running, seconds};
use crate::clock::SystemClock;
use crate::follow::{FollowEnd, FollowError, Follower, Parts, Settings};
use crate::graph::Until;
use crate::state::ProgressStore;

/// One of several workers of a group.
struct Worker {
    session: Arc<FakeSession>,
    index: Arc<FakeIndex>,
    running: Running,
}

impl Bench {
    fn worker(&self) -> Worker {
        let (session, index) = (self.store.session(), Arc::<FakeIndex>::default());
        let parts = Parts {
            source: self.stream.clone(),
            deliver: index.clone(),
            store: session.clone(),
            indices: index.clone(),
            clock: Arc::new(SystemClock::default()),
        };
        let follower = Follower::new(parts, self.settings());
        let (stop, board) = (CancellationToken::new(), follower.board());
        let task = tokio::spawn(follower.run(stop.clone()));
        Worker { session, index, running: Running { stop, board, task } }
    }

    fn leases(&self, worker: &Worker) -> usize {
        let me = worker.session.worker().to_string();
        (0..9).filter(|at| self.store.owner(&format!("s{at}")).as_ref() == Some(&me)).count()
    }
}

fn nine_shards() -> Bench {
    let bench = Bench::default();
    for at in 0..9 {
        bench.stream.shard(&format!("s{at}"), None).put(&format!("s{at}"), [at * 1_000 + 1]);
    }
    bench
}

#[tokio::test(start_paused = true)]
async fn workers_that_start_together_share_the_shards() {
    let bench = nine_shards();
    let workers: Vec<Worker> = (0..3).map(|_| bench.worker()).collect();
    seconds(8).await;
    let leases: Vec<usize> = workers.iter().map(|worker| bench.leases(worker)).collect();
    assert_eq!(leases, [3, 3, 3]);
    let written: usize = workers.iter().map(|worker| worker.index.written().len()).sum();
    assert_eq!(written, 9, "each record once");
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_the_leases_back_at_once_and_a_kill_within_ten_seconds() {
    let bench = nine_shards();
    let (first, second) = (bench.worker(), bench.worker());
    seconds(8).await;
    assert_eq!(bench.leases(&first) + bench.leases(&second), 9);
    let asked = Instant::now();
    first.running.stop().await;
    while bench.leases(&second) < 9 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(asked.elapsed() <= Duration::from_secs(2), "{:?}", asked.elapsed());
    let third = bench.worker();
    seconds(8).await;
    second.running.task.abort();
    let killed = Instant::now();
    bench.stream.put("s0", [2]);
    while !third.index.written().contains(&2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(killed.elapsed() <= Duration::from_secs(10), "{:?}", killed.elapsed());
    assert_eq!(bench.leases(&third), 9);
    assert_eq!(third.index.written(), [2], "the rest was checkpointed");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_cut_off_stops_before_the_others_take_over() {
    let bench = nine_shards();
    let (first, second) = (bench.worker(), bench.worker());
    seconds(8).await;
    first.session.cut_off.store(true, Ordering::SeqCst);
    let cut = Instant::now();
    let mut sequence = 10;
    let mut last_of_first = cut;
    let mut taken_over = None;
    while cut.elapsed() < Duration::from_secs(20) {
        sequence += 1;
        for at in 0..9 {
            bench.stream.put(&format!("s{at}"), [at * 1_000 + sequence]);
        }
        let before = first.index.written().len();
        tokio::time::sleep(Duration::from_millis(250)).await;
        if first.index.written().len() > before {
            last_of_first = Instant::now();
        }
        if bench.leases(&second) == 9 {
            taken_over.get_or_insert_with(Instant::now);
        }
    }
    assert!(last_of_first < taken_over.unwrap(), "{last_of_first:?} {taken_over:?}");
    assert!(last_of_first - cut > Duration::from_secs(2), "what is in hand goes on for a while");
    // Back again, it gets none of them by force.
    first.session.cut_off.store(false, Ordering::SeqCst);
    seconds(10).await;
    assert_eq!((bench.leases(&first), bench.leases(&second)), (0, 9));
    assert_eq!(first.running.board.snapshot().counters.tenure_lapses, 1);
    // And its share when things have been quiet for a while.
    seconds(120).await;
    assert!(bench.leases(&first) >= 4, "{}", bench.leases(&first));
}

/// A refresh shows the children in this worker's name before it knows that they are.
#[tokio::test(start_paused = true)]
async fn children_that_are_handed_over_with_a_late_answer_are_read_once() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", [1]).close("a");
    bench.stream.shard("b", Some("a")).put("b", [2]).close("b");
    bench.stream.shard("c", Some("b")).put("c", [3]);
    let worker = bench.worker();
    worker.session.late_successions.store(true, Ordering::SeqCst);
    seconds(20).await;
    assert_eq!(worker.index.written(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_state_table_that_is_away_stops_all_and_loses_nothing() {
    let bench = nine_shards();
    let worker = bench.worker();
    seconds(5).await;
    bench.store.down.store(true, Ordering::SeqCst);
    seconds(60).await;
    bench.stream.put("s1", [1_002]);
    seconds(5).await;
    assert!(!worker.index.written().contains(&1_002));
    assert!(worker.running.board.snapshot().pauses()[0].contains("heartbeat"));
    bench.store.down.store(false, Ordering::SeqCst);
    seconds(5).await;
    assert!(worker.index.written().contains(&1_002));
    assert!(worker.running.board.snapshot().pauses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_state_table_that_is_deleted_while_it_is_away_ends_the_worker() {
    let bench = nine_shards();
    let worker = bench.worker();
    seconds(5).await;
    bench.store.down.store(true, Ordering::SeqCst);
    seconds(10).await;
    bench.store.gone.store(true, Ordering::SeqCst);
    let ended = tokio::time::timeout(Duration::from_secs(20), worker.running.task).await;
    let error = ended.expect("it ends").unwrap().unwrap_err();
    assert!(matches!(error, FollowError::Refused(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_concerns_all_ends_every_worker() {
    let bench = nine_shards();
    let (first, second) = (bench.worker(), bench.worker());
    seconds(8).await;
    first.index.vanished.store(true, Ordering::SeqCst);
    let shard =
        (0..9).find(|at| bench.store.owner(&format!("s{at}")).as_deref() == Some(first.session.worker().as_str()));
    let shard = shard.unwrap();
    bench.stream.put(&format!("s{shard}"), [shard * 1_000 + 2]);
    assert_eq!(first.running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(second.running.end().await.end, FollowEnd::OnlyGaps);
}

#[tokio::test(start_paused = true)]
async fn idle_shards_cost_no_writes() {
    let bench = nine_shards();
    let worker = bench.worker();
    seconds(30).await;
    let (checkpoints, beats) =
        (bench.store.checkpoints.load(Ordering::SeqCst), bench.store.beats.load(Ordering::SeqCst));
    seconds(600).await;
    assert_eq!(bench.store.checkpoints.load(Ordering::SeqCst), checkpoints);
    let beats = bench.store.beats.load(Ordering::SeqCst) - beats;
    assert!((390..=450).contains(&beats), "{beats}");
    let calls = worker.running.board.snapshot().projected_calls;
    assert!((9.0 * 3_600.0..=9.0 * 3_600.0 * 1.2).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn to_the_present_end_nobody_else_may_work() {
    let bench = nine_shards();
    let _other = bench.worker();
    seconds(5).await;
    let settings = Settings { until: Until::PresentEnd, patience: Some(Duration::from_secs(60)), ..bench.settings() };
    let error = bench.follow_with(settings).task.await.unwrap().unwrap_err();
    assert!(matches!(&error, FollowError::OthersAtWork(others) if others == "w1"), "{error}");
}
