mod beside;
mod broken;
mod closing;
mod endings;
mod fakes;
mod lag;
mod release;
mod standbys;
mod streams;

use std::sync::atomic::Ordering;

use streamdex_dynamodb::Fault;
use streamdex_dynamodb::state::Item;
use streamdex_dynamodb::stream::Position;
use streamdex_mapping::SequenceNumber;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::fakes::{ARN, EPOCH, FakeIndex, FakeSession, FakeStore, FakeStream};
use std::time::Duration;

use streamdex_config::StartPosition;

use super::*;
use crate::SearchContact;
use crate::beside::Beside;
use crate::clock::SystemClock;
use crate::graph::ShardProgress;
use crate::graph::Until;
use crate::lease::WorkerId;
use crate::state::Generations;

#[derive(Default)]
struct Bench {
    stream: Arc<FakeStream>,
    index: Arc<FakeIndex>,
    store: Arc<FakeStore>,
    beside: Option<Arc<dyn Beside>>,
}

struct Running {
    stop: CancellationToken,
    board: StatusBoard,
    task: JoinHandle<Result<Followed, FollowError>>,
}

impl Bench {
    fn settings(&self) -> Settings {
        Settings {
            stream_arn: streamdex_config::StreamArn::parse(ARN).unwrap(),
            worker: WorkerId::new("unset"),
            routes: "r1".into(),
            start: StartPosition::TrimHorizon,
            until: Until::Stopped,
            generations: Generations::from([("sessions".to_owned(), 1)]),
            sole_index: Some("sessions".into()),
            freshness: Duration::from_secs(1),
            patience: None,
            leases: Arc::default(),
            seed: 7,
        }
    }

    fn follow(&self) -> Running {
        self.follow_with(self.settings())
    }

    fn follow_with(&self, settings: Settings) -> Running {
        self.follow_as(self.store.session(), self.index.clone(), settings)
    }

    fn follow_as(&self, session: Arc<FakeSession>, index: Arc<FakeIndex>, settings: Settings) -> Running {
        let cluster = index.cluster.lock().unwrap().clone();
        let settings = Settings { worker: session.worker.clone(), ..settings };
        let search = SearchContact::default();
        let parts = Parts {
            source: self.stream.clone(),
            deliver: index.clone(),
            store: session,
            indices: index.clone(),
            clock: Arc::new(SystemClock::default()),
            search: search.clone(),
            describe_turn: crate::DescribeTurn::default(),
            cluster: Arc::new(move || Some(cluster.clone())),
            beside: self.beside.clone(),
        };
        // As whoever asks OpenSearch now and then whether it is there.
        tokio::spawn(async move {
            loop {
                if !index.silent.load(Ordering::SeqCst) {
                    search.answered();
                }
                seconds(5).await;
            }
        });
        let follower = Follower::new(parts, settings);
        let (stop, board) = (CancellationToken::new(), follower.board());
        let task = tokio::spawn(follower.run(stop.clone()));
        Running { stop, board, task }
    }

    fn follow_until_end(&self) -> Running {
        let patience = Some(Duration::from_secs(60));
        self.follow_with(Settings { until: Until::PresentEnd, patience, ..self.settings() })
    }

    async fn until_end(&self) -> Followed {
        self.follow_until_end().end().await
    }
}

impl Running {
    async fn stop(self) -> Followed {
        self.stop.cancel();
        self.task.await.unwrap().unwrap()
    }

    async fn stop_after(self, seconds: u64) -> Followed {
        self::seconds(seconds).await;
        self.stop().await
    }

    async fn end(self) -> Followed {
        self.task.await.unwrap().unwrap()
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn records_are_written_in_order_and_checkpointed() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=2_500);
    let running = bench.follow();
    seconds(5).await;
    assert_eq!(bench.index.written(), (1..=2_500).collect::<Vec<_>>());
    assert_eq!(bench.store.position("a").as_deref(), Some("2500"));
    bench.stream.put("a", 2_501..=2_503);
    seconds(3).await;
    let status = running.board.snapshot();
    assert_eq!((status.tally.applied, status.undecided), (2_503, 0));
    assert!(status.is_caught_up(), "{status:?}");
    let followed = running.stop().await;
    assert_eq!(followed.end, FollowEnd::Stopped);
    assert_eq!(bench.store.position("a").as_deref(), Some("2503"));
    assert_eq!(bench.store.loaded().indices, [FakeIndex::known_index()]);
}

#[tokio::test(start_paused = true)]
async fn d3_creation_times_that_go_back_from_page_to_page_are_counted_and_raised() {
    let bench = Bench::default();
    bench.stream.shard("a", None).page_size(1);
    let now = 1_700_000_000;
    bench.stream.put_at("a", 1..=2, now).put_at("a", 3..=3, now - 7).put_at("a", 4..=4, now + 1);
    let running = bench.follow();
    seconds(5).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4]);
    assert_eq!(running.board.snapshot().counters.backwards, 1);
    assert_eq!(*bench.index.raised.lock().unwrap(), [1_700_000_000], "an earlier page had the larger second");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_after_the_checkpoint() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=10);
    let running = bench.follow();
    seconds(3).await;
    running.stop().await;
    bench.stream.put("a", 11..=12);
    let running = bench.follow();
    seconds(3).await;
    running.stop().await;
    assert_eq!(bench.index.written(), (1..=12).collect::<Vec<_>>());
    assert_eq!(bench.index.remembered.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_split_is_followed_at_once_and_after_the_parent() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=1_500);
    let running = bench.follow();
    bench.stream.shard("b", Some("a")).put("b", 3_000..=3_010).shard("c", Some("a")).put("c", 4_000..=4_010).close("a");
    seconds(4).await;
    let written = bench.index.written();
    assert_eq!(written.len(), 1_522);
    assert!(written[..1_500].iter().all(|sequence| *sequence <= 1_500));
    assert_eq!(bench.store.shard("a"), Some(ShardProgress::Done));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn children_that_no_listing_shows_are_found_by_name() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow();
    seconds(2).await;
    bench.stream.close("a");
    seconds(3).await;
    bench.stream.shard("b", Some("a")).put("b", 10..=12).hide("b");
    seconds(8).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 10, 11, 12]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_iterator_goes_on_after_the_last_record_read() {
    let bench = Bench::default();
    bench.stream.shard("a", None).fail("a", &[Fault::ExpiredIterator]);
    let running = bench.follow();
    seconds(2).await;
    bench.stream.put("a", 1..=3);
    seconds(2).await;
    bench.stream.fail("a", &[Fault::ExpiredIterator, Fault::Throttled, Fault::Transient, Fault::ExpiredIterator]);
    seconds(8).await;
    bench.stream.put("a", 4..=5);
    seconds(3).await;
    running.stop().await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 5]);
    let after = || Position::After(SequenceNumber::parse("3").unwrap());
    let positions: Vec<_> =
        bench.stream.iterators.lock().unwrap().iter().map(|(_, position)| position.clone()).collect();
    assert_eq!(positions, [Position::TrimHorizon, Position::TrimHorizon, after(), after()]);
}

#[tokio::test(start_paused = true)]
async fn polling_is_slow_when_idle() {
    let bench = Bench::default();
    bench.stream.shard("a", None);
    let running = bench.follow();
    seconds(10).await;
    let before = bench.stream.records_calls.load(Ordering::SeqCst);
    seconds(60).await;
    let calls = bench.stream.records_calls.load(Ordering::SeqCst) - before;
    assert!((63..=71).contains(&calls), "{calls}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_page_is_read_ahead_and_no_more() {
    let bench = Bench::default();
    bench.stream.page_size(10).shard("a", None).put("a", 1..=1_000);
    bench.index.slow.store(3_600_000, Ordering::SeqCst);
    let running = bench.follow();
    seconds(60).await;
    assert_eq!(bench.stream.records_calls.load(Ordering::SeqCst), 2);
    let followed = running.stop().await;
    assert_eq!((followed.status.tally.records(), followed.status.undecided), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn l11_reading_goes_on_past_what_waits_for_a_paused_index_and_no_checkpoint_does() {
    for fails in [false, true] {
        let bench = Bench::default();
        bench.stream.page_size(1).shard("a", None).put("a", 1..=6);
        bench.index.held.store(2, Ordering::SeqCst);
        bench.index.fails_after_hold.store(fails, Ordering::SeqCst);
        let running = bench.follow();
        seconds(30).await;
        assert_eq!(bench.index.written(), [1, 3, 4, 5, 6]);
        assert_eq!(bench.store.position("a").as_deref(), Some("1"));
        assert!(!running.board.snapshot().is_caught_up());
        bench.index.held.store(0, Ordering::SeqCst);
        seconds(10).await;
        let written = bench.index.written();
        match fails {
            false => assert_eq!(written, [1, 3, 4, 5, 6, 2]),
            // What was sent behind it is sent once more, after it: an item's changes stay in their order.
            true => assert_eq!(written, [1, 3, 4, 5, 6, 2, 3, 4, 5, 6]),
        }
        assert_eq!(bench.store.position("a").as_deref(), Some("6"));
        running.stop().await;
    }
}

/// Later pages are written, and the first one is not: a stop must not store their positions.
#[tokio::test(start_paused = true)]
async fn l11_a_stop_stores_no_position_behind_what_waits() {
    let bench = Bench::default();
    bench.stream.page_size(1).shard("a", None).put("a", 1..=6);
    bench.index.held.store(2, Ordering::SeqCst);
    bench.index.fails_after_hold.store(true, Ordering::SeqCst);
    let running = bench.follow();
    seconds(30).await;
    running.stop().await;
    assert_eq!(bench.store.position("a").as_deref(), Some("1"));
    bench.index.held.store(0, Ordering::SeqCst);
    let running = bench.follow();
    seconds(20).await;
    running.stop().await;
    assert_eq!(bench.index.written(), [1, 3, 4, 5, 6, 2, 3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn l11_what_waits_for_a_paused_index_is_bounded() {
    let bench = Bench::default();
    bench.stream.page_size(1).shard("a", None).put("a", 1..=200);
    bench.index.held.store(1, Ordering::SeqCst);
    let running = bench.follow();
    seconds(300).await;
    assert_eq!(bench.index.written().len(), 31);
    let pauses = running.board.snapshot().pauses().join("; ");
    assert!(pauses.contains("reading waits"), "{pauses}");
    bench.index.held.store(0, Ordering::SeqCst);
    seconds(60).await;
    assert_eq!(bench.index.written().len(), 200);
    assert_eq!(running.stop().await.status.undecided, 0);
}

#[tokio::test(start_paused = true)]
async fn trimmed_records_are_a_gap_that_stops_their_lineage_alone() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).shard("b", None).put("b", 100..=101).shard("c", Some("a"));
    let running = bench.follow();
    seconds(3).await;
    running.stop().await;
    bench.stream.put("a", 4..=9).trim_to("a", 6).close("a");
    let running = bench.follow();
    seconds(3).await;
    bench.stream.put("b", 102..=102).put("c", 50..=51);
    seconds(3).await;
    assert_eq!(bench.store.gaps(), [("trimmed", "a".to_owned())]);
    assert_eq!(bench.store.loaded().gaps[0].position.as_deref(), Some("3"));
    assert_eq!(bench.index.written(), [1, 2, 3, 100, 101, 102]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn l8_a_shard_of_which_nothing_was_read_begins_with_what_is_left() {
    let bench = Bench::default();
    bench.stream.shard("a", None);
    let running = bench.follow();
    seconds(3).await;
    running.stop().await;
    bench.stream.put("a", 1..=3).fail("a", &[Fault::Trimmed]);
    let running = bench.follow();
    seconds(5).await;
    assert_eq!(bench.index.written(), [1, 2, 3]);
    assert_eq!(bench.store.gaps(), []);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_breaks_ends_the_follower() {
    let bench = Bench::default();
    bench.stream.shard("a", None);
    let running = bench.follow();
    seconds(3).await;
    bench.store.broken.store(true, Ordering::SeqCst);
    let ended = tokio::time::timeout(Duration::from_secs(30), running.task).await.expect("it ends");
    assert!(matches!(ended.unwrap(), Err(FollowError::Broken)));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_breaks_the_task_of_its_shard_holds_that_shard_alone() {
    let bench = Bench::default();
    bench.stream.shard("a", None).shard("b", None);
    let running = bench.follow();
    seconds(3).await;
    bench.stream.put("a", [1, 2]).put("b", [10]);
    seconds(3).await;
    bench.index.poison.store(3, Ordering::SeqCst);
    bench.stream.put("a", [3, 4]);
    seconds(20).await;
    bench.stream.put("b", [11]);
    seconds(3).await;
    let status = running.board.snapshot();
    assert!((3..=6).contains(&status.counters.task_restarts), "{}", status.counters.task_restarts);
    assert!(status.pauses()[0].contains("failed"), "{:?}", status.pauses());
    let sorted = || {
        let mut written = bench.index.written();
        written.sort_unstable();
        written
    };
    assert_eq!(sorted(), [1, 2, 10, 11]);
    // Each task has a number: what an earlier one still writes is refused.
    let run = bench.store.items.lock().unwrap()["shard|L1|a"]["run"].clone();
    assert_eq!(
        run,
        streamdex_dynamodb::state::of_number(status.counters.task_restarts),
        "the last one has not written yet"
    );
    bench.index.poison.store(0, Ordering::SeqCst);
    seconds(60).await;
    assert_eq!(sorted(), [1, 2, 3, 4, 10, 11]);
    assert_eq!(bench.store.position("a").as_deref(), Some("4"));
    assert_eq!(running.stop().await.end, FollowEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn only_gaps_end_the_run_now_and_at_the_next_start() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow();
    seconds(3).await;
    bench.stream.vanish("a");
    assert_eq!(running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.store.gaps(), [("shard_vanished", "a".to_owned())]);
    assert_eq!(bench.follow().end().await.end, FollowEnd::OnlyGaps);
}

#[tokio::test(start_paused = true)]
async fn an_oldest_record_trimmed_at_the_start_is_no_gap() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3).fail("a", &[Fault::Trimmed, Fault::Trimmed]);
    let running = bench.follow();
    seconds(3).await;
    assert_eq!(bench.index.written(), [1, 2, 3]);
    running.stop().await;
    assert_eq!(bench.store.gaps(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lost_index_is_a_gap_and_no_checkpoint_passes_it() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=3);
    let running = bench.follow();
    seconds(3).await;
    bench.index.vanished.store(true, Ordering::SeqCst);
    bench.stream.put("a", 4..=4);
    assert_eq!(running.end().await.end, FollowEnd::OnlyGaps);
    assert_eq!(bench.store.position("a").as_deref(), Some("3"));
    assert_eq!(bench.store.gaps(), [("index_vanished", "sessions-000001".to_owned())]);
    let detail = bench.store.loaded().gaps[0].detail.clone().unwrap();
    assert!(detail.contains("u1") && detail.contains("impostor"), "{detail}");
    // The gap stands at the next start.
    assert_eq!(bench.follow().end().await.end, FollowEnd::OnlyGaps);
}

#[tokio::test(start_paused = true)]
async fn what_is_undecided_is_delivered_again_and_counted_once() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=8);
    bench.index.down.store(true, Ordering::SeqCst);
    let running = bench.follow();
    seconds(60).await;
    let status = running.board.snapshot();
    assert_eq!(status.pauses(), ["down"]);
    assert!(status.lag() > Some(Duration::from_secs(50)) && status.undecided > 0 && !status.is_caught_up());
    bench.index.down.store(false, Ordering::SeqCst);
    seconds(15).await;
    assert_eq!(bench.index.written(), (1..=8).collect::<Vec<_>>());
    let status = running.stop().await.status;
    assert_eq!((status.tally.applied, status.undecided), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn one_shot_commands_give_up() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=2).fail("a", &[Fault::Credentials; 1_000]);
    let settings = Settings { until: Until::PresentEnd, patience: Some(Duration::from_secs(60)), ..bench.settings() };
    let error = bench.follow_with(settings).task.await.unwrap().unwrap_err();
    assert!(matches!(&error, FollowError::GaveUp { message, .. } if message.contains("GetRecords")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn latest_is_pinned_before_the_first_read() {
    let bench = Bench::default();
    let now = i64::try_from(EPOCH).unwrap();
    bench.stream.shard("a", None).put("a", 1..=2).close("a").shard("b", Some("a"));
    bench.stream.put_at("b", 10..=11, now - 3_600).put_at("b", 12..=12, now);
    let latest = || Settings { start: StartPosition::Latest, ..bench.settings() };
    let running = bench.follow_with(latest());
    seconds(3).await;
    let status = running.stop().await.status;
    assert_eq!((bench.index.written(), status.before_start), (vec![12], 2));
    assert_eq!(bench.store.position("b").as_deref(), Some("12"));
    // Written while nobody ran; a later shard is read from its beginning.
    bench.stream.put_at("b", 13..=13, now).close("b").shard("c", Some("b")).put_at("c", 20..=20, now);
    let running = bench.follow_with(latest());
    seconds(3).await;
    running.stop().await;
    assert_eq!(bench.index.written(), [12, 13, 20]);
}

#[tokio::test(start_paused = true)]
async fn another_generation_under_the_same_group_is_refused() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=1);
    let generations = Generations::from([("sessions".to_owned(), 2)]);
    let running = bench.follow_with(Settings { generations, ..bench.settings() });
    seconds(3).await;
    running.stop().await;
    let error = bench.follow().task.await.unwrap().unwrap_err();
    assert!(matches!(error, FollowError::OtherGeneration { stored: 2, configured: 1, .. }), "{error}");
    assert!(error.hint().contains("state.group"));
}

/// Shards split, calls are throttled and iterators expire, the index goes down, and the process is
/// killed again and again: everything is written, and parents before their children.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_whatever_happens() {
    for seed in 0..40 {
        let bench = Bench::default();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut leaves = vec!["s000".to_owned()];
        let mut parents: Vec<(String, Option<String>)> = vec![("s000".to_owned(), None)];
        let mut of_shard: Vec<(u64, String)> = Vec::new();
        bench.stream.page_size(random.usize(1..20)).shard("s000", None);
        let mut running = bench.follow();
        for _ in 0..120 {
            let at = random.usize(0..leaves.len());
            let leaf = leaves[at].clone();
            match random.u8(0..12) {
                0 => {
                    bench.stream.close(&leaf);
                    leaves.swap_remove(at);
                    for _ in 0..random.usize(1..=2) {
                        let child = format!("s{:03}", parents.len());
                        bench.stream.shard(&child, Some(&leaf));
                        parents.push((child.clone(), Some(leaf.clone())));
                        leaves.push(child);
                    }
                }
                1 => {
                    let fault = [Fault::Throttled, Fault::ExpiredIterator, Fault::Transient][random.usize(0..3)];
                    bench.stream.fail(&leaf, &[fault]);
                }
                2 => {
                    running.task.abort();
                    let _ = running.task.await;
                    running = bench.follow();
                }
                3 => bench.index.down.store(random.bool(), Ordering::SeqCst),
                4 => bench.index.slow.store(random.u64(0..2_000), Ordering::SeqCst),
                _ => {
                    for _ in 0..random.usize(1..30) {
                        let sequence = u64::try_from(of_shard.len()).unwrap() + 1;
                        bench.stream.put(&leaf, [sequence]);
                        of_shard.push((sequence, leaf.clone()));
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(random.u64(0..1_500))).await;
        }
        bench.index.down.store(false, Ordering::SeqCst);
        running.task.abort();
        let _ = running.task.await;
        assert_eq!(bench.until_end().await.end, FollowEnd::PresentEnd, "seed {seed}");
        let written = bench.index.written();
        let first = |sequence: u64| written.iter().position(|found| *found == sequence);
        for (sequence, _) in &of_shard {
            assert!(first(*sequence).is_some(), "seed {seed}: {sequence} is lost");
        }
        let seen = |shard: &str| -> Vec<Option<usize>> {
            of_shard.iter().filter(|(_, of)| of == shard).map(|(sequence, _)| first(*sequence)).collect()
        };
        for (shard, parent) in &parents {
            assert!(seen(shard).is_sorted(), "seed {seed}: {shard} is out of order");
            if let (Some(parent), Some(begin)) = (parent, seen(shard).into_iter().min()) {
                assert!(seen(parent).into_iter().all(|at| at < begin), "seed {seed}: {shard} before {parent}");
            }
        }
        assert_eq!(bench.store.gaps(), [], "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_hangs_is_started_again() {
    let bench = Bench::default();
    bench.stream.shard("a", None).shard("b", None).put("b", 1..=1);
    let running = bench.follow();
    seconds(3).await;
    bench.stream.delay("b", Duration::from_secs(100 * 60));
    seconds(2).await;
    // The call that is under way has no answer for more than an hour; the next one would have one.
    bench.stream.delay("b", Duration::ZERO).put("b", 2..=2);
    seconds(4 * 60).await;
    assert_eq!(bench.index.written(), [1]);
    seconds(2 * 60).await;
    assert_eq!(bench.index.written(), [1, 2]);
    assert_eq!(running.board.snapshot().counters.watchdog_restarts, 1);
    running.stop().await;
}
