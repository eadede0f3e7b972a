//! Several workers of one group.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use streamdex_dynamodb::state::{Item, of_number};
use tokio::time::Instant;

use super::fakes::{FakeIndex, FakeSession};
use super::{Bench, Running, seconds};
use crate::follow::{FollowEnd, FollowError, Settings};
use crate::graph::Until;

/// One of several workers of a group.
struct Worker {
    session: Arc<FakeSession>,
    index: Arc<FakeIndex>,
    running: Running,
}

impl Bench {
    fn worker(&self) -> Worker {
        self.worker_with(self.settings())
    }

    fn worker_with(&self, settings: Settings) -> Worker {
        let (session, index) = (self.store.session(), Arc::<FakeIndex>::default());
        let running = self.follow_as(session.clone(), index.clone(), settings);
        Worker { session, index, running }
    }
}

impl Worker {
    fn reads(&self) -> bool {
        self.running.board.snapshot().role.is_reader()
    }

    /// How long it takes until this worker has written the record.
    async fn has_written(&self, sequence: u64) -> Duration {
        let began = Instant::now();
        while !self.index.written().contains(&sequence) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(began.elapsed() < Duration::from_secs(600), "{sequence} is never written");
        }
        began.elapsed()
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
async fn one_worker_reads_and_the_others_stand_by() {
    let bench = nine_shards();
    let workers: Vec<Worker> = (0..20).map(|_| bench.worker()).collect();
    seconds(8).await;
    assert_eq!(workers.iter().filter(|worker| worker.reads()).count(), 1);
    let written: usize = workers.iter().map(|worker| worker.index.written().len()).sum();
    assert_eq!(written, 9, "each record once");
    let standby = workers.iter().find(|worker| !worker.reads()).unwrap();
    let status = standby.running.board.snapshot();
    assert_eq!((status.lag(), status.shards.len(), status.role.reader), (None, 0, bench.store.reader()));
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_at_once() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", [1]);
    let worker = bench.worker();
    let first = worker.has_written(1).await;
    assert!(first <= Duration::from_millis(500), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_hands_over_within_a_second_and_a_kill_within_eight() {
    for standbys in [1, 10] {
        let bench = nine_shards();
        let first = bench.worker();
        seconds(3).await;
        let others: Vec<Worker> = (0..standbys).map(|_| bench.worker()).collect();
        seconds(10).await;
        first.running.stop().await;
        bench.stream.put("s0", [2]);
        let stopped = Instant::now();
        let second = loop {
            if let Some(reader) = others.iter().find(|worker| worker.index.written().contains(&2)) {
                break reader;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(stopped.elapsed() <= Duration::from_secs(1), "{:?}", stopped.elapsed());
        assert_eq!(second.index.written(), [2], "the rest was checkpointed");
        let others: Vec<&Worker> = others.iter().filter(|worker| !worker.reads()).collect();
        let third = bench.worker();
        seconds(10).await;
        second.running.task.abort();
        let killed = Instant::now();
        bench.stream.put("s0", [3]);
        while !others.iter().chain([&&third]).any(|worker| worker.index.written().contains(&3)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(killed.elapsed() <= Duration::from_secs(8), "{:?}", killed.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_cut_off_stops_before_another_takes_over() {
    let bench = nine_shards();
    let first = bench.worker();
    seconds(3).await;
    let second = bench.worker();
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
        if second.reads() {
            taken_over.get_or_insert_with(Instant::now);
        }
    }
    assert!(last_of_first < taken_over.unwrap(), "{last_of_first:?} {taken_over:?}");
    assert!(last_of_first - cut > Duration::from_secs(2), "what is in hand goes on for a while");
    // Back again, it stands by.
    first.session.cut_off.store(false, Ordering::SeqCst);
    seconds(10).await;
    assert!(!first.reads() && second.reads());
    assert_eq!(first.running.board.snapshot().counters.tenure_lapses, 1);
    assert_eq!(bench.store.loaded().lease.unwrap().term, 2);
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
    assert!(worker.running.board.snapshot().pauses().iter().any(|pause| pause.contains("heartbeat")));
    bench.store.down.store(false, Ordering::SeqCst);
    seconds(12).await;
    assert!(worker.index.written().contains(&1_002));
    assert!(worker.running.board.snapshot().pauses().is_empty());
    // Nobody else was there, and the lease is the same.
    assert_eq!(bench.store.loaded().lease.unwrap().term, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_whose_beats_are_not_confirmed_reads_nothing() {
    let bench = nine_shards();
    let worker = bench.worker();
    seconds(5).await;
    bench.store.down.store(true, Ordering::SeqCst);
    seconds(5).await;
    let calls = bench.stream.records_calls.load(Ordering::SeqCst);
    seconds(30).await;
    assert_eq!(bench.stream.records_calls.load(Ordering::SeqCst), calls, "they would be the next reader's");
    bench.store.down.store(false, Ordering::SeqCst);
    seconds(3).await;
    assert!(bench.stream.records_calls.load(Ordering::SeqCst) > calls);
    worker.running.stop().await;
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
    assert!(matches!(error, FollowError::State(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_concerns_all_ends_every_worker() {
    let bench = nine_shards();
    let first = bench.worker();
    seconds(3).await;
    let second = bench.worker();
    seconds(8).await;
    first.index.vanished.store(true, Ordering::SeqCst);
    bench.stream.put("s0", [2]);
    assert_eq!(first.running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(second.running.end().await.end, FollowEnd::OnlyGaps);
}

#[tokio::test(start_paused = true)]
async fn l6_a_reader_that_cannot_reach_the_stream_gives_the_lease_up() {
    let bench = nine_shards();
    let sick = bench.worker();
    seconds(3).await;
    let healthy = bench.worker();
    seconds(3).await;
    // The fake stream is shared: down for all, and back as soon as the lease is given up.
    bench.stream.down.store(true, Ordering::SeqCst);
    let cut = Instant::now();
    while sick.reads() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((10..=13).contains(&cut.elapsed().as_secs()), "{:?}", cut.elapsed());
    bench.stream.down.store(false, Ordering::SeqCst);
    bench.stream.put("s0", [2]);
    assert!(healthy.has_written(2).await <= Duration::from_secs(2));
    seconds(2).await;
    assert_eq!(bench.store.reader().as_deref(), Some(healthy.session.worker.as_str()));
    assert_eq!(bench.store.loaded().lease.unwrap().fruitless, 0, "cleared by progress");
}

#[tokio::test(start_paused = true)]
async fn l6_a_reader_that_cannot_reach_opensearch_gives_the_lease_up() {
    let bench = nine_shards();
    let sick = bench.worker();
    seconds(3).await;
    let healthy = bench.worker();
    seconds(3).await;
    sick.index.down.store(true, Ordering::SeqCst);
    sick.index.silent.store(true, Ordering::SeqCst);
    seconds(60).await;
    assert!(sick.reads(), "it has nothing to write");
    bench.stream.put("s0", [2]);
    let taken = healthy.has_written(2).await;
    assert!(taken <= Duration::from_secs(20), "{taken:?}");
    seconds(60).await;
    assert!(healthy.reads());
}

#[tokio::test(start_paused = true)]
async fn l6_where_all_have_the_same_trouble_the_lease_wanders_slowly() {
    let bench = nine_shards();
    let workers: Vec<Worker> = (0..3).map(|_| bench.worker()).collect();
    seconds(5).await;
    bench.stream.down.store(true, Ordering::SeqCst);
    seconds(3_600).await;
    let lease = bench.store.loaded().lease.unwrap();
    assert!((8..=20).contains(&lease.term), "{} terms in an hour", lease.term);
    bench.stream.down.store(false, Ordering::SeqCst);
    bench.stream.put("s0", [2]);
    seconds(600).await;
    assert_eq!(workers.iter().filter(|worker| worker.index.written().contains(&2)).count(), 1);
}

/// All have given the lease up before: who does not reach the stream now must not take it again and again.
#[tokio::test(start_paused = true)]
async fn l6_who_gives_up_is_the_last_although_all_have_given_up() {
    let bench = nine_shards();
    let workers: Vec<Worker> = (0..3).map(|_| bench.worker()).collect();
    seconds(5).await;
    bench.stream.down.store(true, Ordering::SeqCst);
    seconds(300).await;
    bench.stream.down.store(false, Ordering::SeqCst);
    seconds(400).await;
    bench.stream.put("s0", [2]);
    seconds(10).await;
    for _ in 0..3 {
        let reader = bench.store.reader().unwrap();
        let sick = workers.iter().find(|worker| worker.session.worker.as_str() == reader).unwrap();
        bench.stream.down.store(true, Ordering::SeqCst);
        while sick.reads() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bench.stream.down.store(false, Ordering::SeqCst);
        seconds(5).await;
        assert!(bench.store.reader().is_some_and(|now| now != reader), "{:?}", bench.store.reader());
        bench.stream.put("s0", [3]);
        seconds(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn l7_another_cluster_is_refused_by_name_and_other_routes_are_taken() {
    let bench = nine_shards();
    let first = bench.worker();
    seconds(3).await;
    first.running.stop().await;
    let (session, index) = (bench.store.session(), Arc::<FakeIndex>::default());
    *index.cluster.lock().unwrap() = "c2".to_owned();
    let error = bench.follow_as(session, index, bench.settings()).task.await.unwrap().unwrap_err();
    assert!(matches!(&error, FollowError::OtherCluster { stored, .. } if stored.is_empty()), "{error}");
    let of = |routes: &str| Settings { routes: routes.to_owned(), ..bench.settings() };
    let other_routes = bench.worker_with(of("r2"));
    bench.stream.put("s0", [2]);
    other_routes.has_written(2).await;
}

#[tokio::test(start_paused = true)]
async fn l4_a_term_outgrows_those_of_the_shards_as_after_a_restored_backup() {
    let bench = nine_shards();
    let first = bench.worker();
    seconds(3).await;
    first.running.stop().await;
    bench.store.set("shard|L1|s3", Item::from([("term".to_owned(), of_number(40))]));
    let second = bench.worker();
    bench.stream.put("s3", [3_002]);
    assert!(second.has_written(3_002).await <= Duration::from_secs(2));
    assert_eq!(bench.store.loaded().lease.unwrap().term, 41);
}

#[tokio::test(start_paused = true)]
async fn l10_workers_of_the_earlier_design_are_stopped_and_waited_for() {
    let bench = nine_shards();
    bench.store.set("worker|old-1", Item::from([("beat".to_owned(), of_number(7))]));
    let began = Instant::now();
    let worker = bench.worker();
    worker.has_written(1).await;
    assert!((6..=8).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let marks = bench.store.items.lock().unwrap();
    let mark = marks.iter().find(|(key, _)| key.starts_with("worker|one-reader")).unwrap().1;
    assert_eq!(streamdex_dynamodb::state::number(mark, "v"), Some(2), "a format that they do not know");
}

#[tokio::test(start_paused = true)]
async fn standbys_cost_small_reads_and_idle_shards_no_writes() {
    let bench = nine_shards();
    let reader = bench.worker();
    seconds(3).await;
    let _standbys: Vec<Worker> = (0..2).map(|_| bench.worker()).collect();
    seconds(30).await;
    let count = || {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
        (count(&bench.store.shard_writes), count(&bench.store.beats), count(&bench.store.looks))
    };
    let before = count();
    seconds(600).await;
    let after = count();
    assert_eq!(after.0, before.0);
    let (beats, looks) = (after.1 - before.1, after.2 - before.2);
    assert!((390..=450).contains(&beats), "{beats}");
    assert!((1_500..=1_610).contains(&looks), "{looks} of two standbys in ten minutes");
    let calls = reader.running.board.snapshot().projected_calls;
    assert!((9.0 * 3_600.0..=9.0 * 3_600.0 * 1.2).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn to_the_present_end_nobody_else_may_read() {
    let bench = nine_shards();
    let _other = bench.worker();
    seconds(5).await;
    let settings = Settings { until: Until::PresentEnd, patience: Some(Duration::from_secs(60)), ..bench.settings() };
    let error = bench.follow_with(settings).task.await.unwrap().unwrap_err();
    assert!(matches!(&error, FollowError::OthersAtWork(reader) if reader == "w1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_reads_one_table_lets_others_go_first_with_the_next_and_takes_it_all_the_same() {
    let (first, second) = (nine_shards(), nine_shards());
    let leases = std::sync::Arc::default();
    let settings = |bench: &Bench| Settings { leases: Arc::clone(&leases), ..bench.settings() };
    let one = first.worker_with(settings(&first));
    one.has_written(1).await;
    assert_eq!(leases.load(Ordering::SeqCst), 1);
    let two = second.worker_with(settings(&second));
    let waited = two.has_written(1).await;
    assert!(waited <= Duration::from_millis(1_500), "{waited:?}");
    assert_eq!(leases.load(Ordering::SeqCst), 2, "to hold few leases is no right");
    two.running.stop().await;
    one.running.stop().await;
    assert_eq!(leases.load(Ordering::SeqCst), 0);
}
