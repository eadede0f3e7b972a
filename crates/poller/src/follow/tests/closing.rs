//! Gaps that an operator closes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_delivery::backfill::FilledBy;
use streamdex_dynamodb::state::{Item, of_number};
use streamdex_dynamodb::stream::Position;
use streamdex_sink::index::GroupState;
use tokio::time::Instant;

use super::fakes::ARN;
use super::{Bench, seconds};
use crate::closing::{CloseError, Closed, GapCloser};
use crate::follow::FollowEnd;
use crate::graph::ShardProgress;
use crate::lease::WorkerId;
use crate::state::closing::Closing;
use crate::state::{Generations, StoredGap};

impl Bench {
    fn closer(&self) -> GapCloser {
        let stream = streamdex_config::StreamArn::parse(ARN).unwrap();
        let generations = Generations::from([("sessions".to_owned(), 1)]);
        GapCloser::new(self.stream.clone(), self.store.session(), stream, generations, WorkerId::new("gap-close"))
    }

    async fn close_all(&self) -> (usize, Closed) {
        let closer = self.closer();
        let gaps = closer.gaps().await.unwrap();
        (gaps.len(), closer.close(&gaps, FilledBy::Command).await.unwrap())
    }

    /// Reads 1 to 4 of a shard, of which 5 to 10 are trimmed then.
    async fn trimmed(&self) {
        self.stream.shard("s1", None).put("s1", 1..=4);
        let running = self.follow();
        seconds(5).await;
        running.stop().await;
        self.stream.put("s1", 5..=12).trim_to("s1", 10);
        let ended = self.follow().end().await;
        assert_eq!(ended.end, FollowEnd::OnlyGaps);
        assert_eq!(self.store.gaps(), [("trimmed", "s1".to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn b5_reading_goes_on_from_the_oldest_record_that_is_left() {
    let bench = Bench::default();
    bench.trimmed().await;
    assert_eq!(bench.close_all().await, (1, Closed::Free));
    assert_eq!(bench.store.gaps(), []);
    assert_eq!(bench.store.shard("s1"), Some(ShardProgress::Open(None)), "its place is stored before anybody reads");
    let running = bench.follow();
    seconds(5).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 11, 12]);
    bench.stream.put("s1", [13]);
    seconds(5).await;
    assert_eq!(running.board.snapshot().gaps, []);
    running.stop().await;
    assert_eq!(bench.store.position("s1").as_deref(), Some("13"));
    // From now on its progress counts as any other's.
    bench.stream.put("s1", [14]);
    bench.follow().stop_after(5).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 11, 12, 13, 14]);
}

#[tokio::test(start_paused = true)]
async fn b1_a_gap_that_is_closed_says_who_compares_the_index_with_the_table() {
    for by in [FilledBy::Command, FilledBy::Run] {
        let bench = Bench::default();
        bench.trimmed().await;
        let closer = bench.closer();
        closer.close(&closer.gaps().await.unwrap(), by).await.unwrap();
        let record = bench.store.loaded().backfill.unwrap();
        assert_eq!((record.by, record.after_gap, record.owner), (by, true, None));
        assert!(record.not_before >= super::EPOCH + 90, "{}", record.not_before);
    }
}

#[tokio::test(start_paused = true)]
async fn l4_a_reader_is_interrupted_and_the_next_one_begins_when_it_is_surely_gone() {
    let bench = Bench::default();
    bench.trimmed().await;
    bench.stream.shard("s2", None).put("s2", 100..=101);
    bench.store.set(
        "shard|L1|s2",
        Item::from([
            ("state".to_owned(), AttributeValue::S("open".to_owned())),
            ("updated".to_owned(), of_number(super::EPOCH)),
        ]),
    );
    let running = bench.follow();
    seconds(5).await;
    let term = bench.store.loaded().lease.unwrap().term;
    let closing = Instant::now();
    assert_eq!(bench.close_all().await, (1, Closed::Interrupted));
    let lease = bench.store.loaded().lease.unwrap();
    assert_eq!((lease.owner.unwrap().as_str(), lease.term, lease.unclean), ("gap-close", term + 1, true));
    bench.stream.put("s2", [102]);
    while !bench.index.written().contains(&12) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = closing.elapsed();
    assert!(took >= crate::lease::TENURE && took <= Duration::from_secs(8), "{took:?}");
    seconds(5).await;
    assert!(bench.store.loaded().lease.unwrap().term > term + 1);
    assert!(bench.index.written().contains(&102));
    assert_eq!(running.board.snapshot().gaps, [], "what was closed is not shown any more");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_of_the_interrupted_term_is_refused() {
    let bench = Bench::default();
    bench.trimmed().await;
    let late = bench.store.loaded().shards[0].clone();
    assert!(late.term.is_some());
    bench.close_all().await;
    let shard = bench.store.loaded().shards[0].clone();
    assert_eq!((shard.term, shard.resumes, shard.progress), (None, true, ShardProgress::Open(None)));
}

#[tokio::test(start_paused = true)]
async fn what_came_after_a_shard_that_is_gone_belongs_to_its_gap() {
    let bench = Bench::default();
    bench.stream.shard("s1", None).put("s1", 1..=4);
    bench.follow().stop_after(5).await;
    seconds(26 * 60 * 60).await;
    bench.stream.vanish("s1");
    let ended = bench.follow().stop_after(60).await;
    assert!(bench.store.gaps().contains(&("shard_vanished", "s1".to_owned())), "{:?}", ended.status.gaps);
    // Its child is gone too, and the grandchild is what is left. By its name it is older than what a stream keeps.
    let left = format!("shardId-{:020}-0a1b2c3d", (super::EPOCH + 60) * 1_000);
    bench.stream.shard("s2", Some("s1")).vanish("s2");
    bench.stream.shard(&left, Some("s2")).put(&left, 30..=35).trim_to(&left, 32);
    bench.close_all().await;
    assert_eq!(bench.store.gaps(), []);
    assert_eq!(bench.store.shard("s1"), Some(ShardProgress::Done));
    let ended = bench.follow().stop_after(60).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4, 33, 34, 35]);
    assert_eq!(ended.status.gaps, [], "a gap does not breed gaps");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_a_listing_leaves_out_is_not_gone() {
    let bench = Bench::default();
    bench.trimmed().await;
    bench.stream.hide("s1");
    bench.close_all().await;
    assert_eq!(bench.store.shard("s1"), Some(ShardProgress::Open(None)));
    let asked = bench.stream.iterators.lock().unwrap().last().cloned();
    assert_eq!(asked, Some(("s1".to_owned(), Position::TrimHorizon)), "it was asked for by name");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_took_the_place_of_another_is_begun_at_its_oldest_records() {
    let bench = Bench::default();
    bench.stream.shard("s1", None).put("s1", 1..=4);
    bench.store.set("stream|L0", Item::new());
    let ended = bench.follow().end().await;
    assert_eq!((ended.end, bench.store.gaps()), (FollowEnd::OnlyGaps, vec![("stream_replaced", ARN.to_owned())]));
    assert_eq!(bench.close_all().await, (1, Closed::Free));
    let start = bench.store.loaded().start.unwrap();
    assert_eq!((start.position, start.roots.len()), (super::StartPosition::TrimHorizon, 1));
    bench.follow().stop_after(5).await;
    assert_eq!(bench.index.written(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_was_lost_may_be_another_one_from_now_on() {
    let bench = Bench::default();
    bench.stream.shard("s1", None).put("s1", 1..=4);
    bench.follow().stop_after(5).await;
    bench.index.vanished.store(true, Ordering::SeqCst);
    bench.stream.put("s1", [5]);
    let ended = bench.follow().end().await;
    assert_eq!(
        (ended.end, bench.store.gaps()),
        (FollowEnd::OnlyGaps, vec![("index_vanished", "sessions-000001".to_owned())])
    );
    bench.close_all().await;
    assert_eq!((bench.store.gaps(), bench.store.loaded().indices), (vec![], vec![]), "its UUID is forgotten");
    bench.index.vanished.store(false, Ordering::SeqCst);
    bench.follow().stop_after(5).await;
    assert_eq!(bench.index.written().last(), Some(&5), "reading goes on where it stood still");
    assert_eq!(bench.store.position("s1").as_deref(), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn only_the_gaps_that_are_named_are_closed_and_closing_twice_is_nothing() {
    let bench = Bench::default();
    bench.trimmed().await;
    let closer = bench.closer();
    let other = StoredGap { label: "L1".into(), gap: crate::Gap::new(crate::GapKind::Unread, "s9") };
    assert_eq!(closer.close(&[other], FilledBy::Command).await.unwrap(), Closed::Free);
    assert_eq!(bench.store.gaps().len(), 1);
    let term = bench.store.loaded().lease.unwrap().term;
    let gaps = closer.gaps().await.unwrap();
    closer.close(&gaps, FilledBy::Command).await.unwrap();
    closer.close(&gaps, FilledBy::Command).await.unwrap();
    assert_eq!(bench.store.loaded().lease.unwrap().term, term + 1, "nothing is interrupted for nothing");
    bench.store.items.lock().unwrap().remove("lease");
    bench.store.set("gap|L1|unread|s1", Item::new());
    let gaps = closer.gaps().await.unwrap();
    assert!(matches!(closer.close(&gaps, FilledBy::Command).await, Err(CloseError::NeverRead)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_cut_off_table_lose_nothing() {
    let bench = Bench::default();
    bench.trimmed().await;
    let session = bench.store.session();
    let stream = streamdex_config::StreamArn::parse(ARN).unwrap();
    let closer = GapCloser::new(bench.stream.clone(), session.clone(), stream, Generations::new(), WorkerId::new("c"));
    let gaps = closer.gaps().await.unwrap();
    session.cut_off.store(true, Ordering::SeqCst);
    assert!(closer.close(&gaps, FilledBy::Command).await.unwrap_err().passes_by_itself());
    assert_eq!(bench.store.gaps().len(), 1);
    bench.stream.down.store(true, Ordering::SeqCst);
    session.cut_off.store(false, Ordering::SeqCst);
    assert!(closer.close(&gaps, FilledBy::Command).await.is_err(), "what the stream holds is not known");
    assert_eq!(bench.store.gaps().len(), 1);
    bench.stream.down.store(false, Ordering::SeqCst);
    closer.close(&gaps, FilledBy::Command).await.unwrap();
    assert_eq!(bench.store.gaps(), []);
    drop(Arc::clone(&session));
}

/// A state that was lost: an index says so as soon as the first record comes.
async fn state_lost(bench: &Bench) {
    bench.index.state_lost.store(true, Ordering::SeqCst);
    let ended = bench.follow().end().await;
    assert_eq!((ended.end, bench.store.gaps()), (FollowEnd::OnlyGaps, vec![("state_lost", ARN.to_owned())]));
    assert_eq!(bench.index.written(), Vec::<u64>::new());
    bench.index.state_lost.store(false, Ordering::SeqCst);
}

#[tokio::test(start_paused = true)]
async fn l7_a_lost_state_is_begun_again_as_if_for_the_first_time() {
    let bench = Bench::default();
    bench.stream.shard("s1", None).put("s1", 1..=4).close("s1").shard("s2", Some("s1")).put("s2", 5..=6);
    state_lost(&bench).await;
    assert!(bench.store.loaded().shards.iter().any(|shard| shard.term.is_some()), "the aborted beginning left items");
    // A root of that beginning is trimmed meanwhile.
    bench.stream.vanish("s1");
    bench.close_all().await;
    let loaded = bench.store.loaded();
    assert_eq!((loaded.shards, loaded.start.map(|start| start.resumes)), (vec![], Some(true)));
    let ended = bench.follow().stop_after(30).await;
    assert_eq!((bench.index.written(), ended.status.gaps), (vec![5, 6], vec![]));
}

#[tokio::test(start_paused = true)]
async fn l7_a_state_is_empty_until_it_names_an_index() {
    let bench = Bench::default();
    bench.stream.shard("s1", None).put("s1", 1..=4);
    // A reader that begins with a shard, and dies before it comes to the first index, proves nothing.
    bench.index.held.store(1, Ordering::SeqCst);
    let running = bench.follow();
    seconds(5).await;
    assert!(bench.store.loaded().shards[0].term.is_some());
    running.task.abort();
    bench.index.held.store(0, Ordering::SeqCst);
    bench.follow().stop_after(20).await;
    assert_eq!(*bench.index.group_state.lock().unwrap(), Some(GroupState::Empty));
    bench.follow().stop_after(5).await;
    assert_eq!(*bench.index.group_state.lock().unwrap(), Some(GroupState::Known));
}

#[tokio::test(start_paused = true)]
async fn an_index_that_was_accepted_is_no_lost_state() {
    let bench = Bench::default();
    bench.stream.shard("s1", None).put("s1", 1..=4);
    bench.follow().stop_after(5).await;
    bench.index.vanished.store(true, Ordering::SeqCst);
    bench.stream.put("s1", [5]);
    bench.follow().end().await;
    bench.close_all().await;
    bench.index.vanished.store(false, Ordering::SeqCst);
    let running = bench.follow();
    seconds(1).await;
    assert_eq!(*bench.index.group_state.lock().unwrap(), Some(GroupState::Known));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn l2_a_shard_whose_parent_a_listing_leaves_out_is_no_heir() {
    let bench = Bench::default();
    bench.stream.shard("a", None).put("a", 1..=4).shard("s1", None).put("s1", 100..=101);
    bench.follow().stop_after(5).await;
    bench.stream.shard("b", Some("a")).shard("c", Some("b")).put("c", 30..=31).vanish("s1");
    bench.follow().stop_after(60).await;
    assert_eq!(bench.store.gaps(), [("shard_vanished", "s1".to_owned())]);
    bench.stream.hide("b");
    bench.close_all().await;
    assert_eq!(bench.store.shard("c"), None, "the service has its parent");
}

#[tokio::test(start_paused = true)]
async fn l4_a_command_that_comes_late_undoes_nothing() {
    let bench = Bench::default();
    bench.trimmed().await;
    let (first, second) = (bench.closer(), bench.closer());
    let gaps = first.gaps().await.unwrap();
    let planned = bench.store.items.lock().unwrap().clone();
    second.close(&gaps, FilledBy::Run).await.unwrap();
    bench.follow().stop_after(5).await;
    let progress = bench.store.position("s1");
    assert_eq!(progress.as_deref(), Some("12"));
    // The first command's write, as it planned it before the second one.
    let closing = Closing { label: "L1", now: super::EPOCH, generations: &Generations::new() };
    let lease = lease_of(&planned);
    let operations = [
        crate::state::closing::interrupt(&lease, &WorkerId::new("late"), super::EPOCH),
        closing.resume(&streamdex_dynamodb::stream::ShardId::new("s1"), None),
        closing.closed(&gaps[0]),
    ];
    let answer = streamdex_dynamodb::state::apply(&mut bench.store.items.lock().unwrap(), "p", &operations);
    let streamdex_dynamodb::state::Answer::Refused(refused) = answer else { panic!("{answer:?}") };
    assert_eq!(refused.iter().map(|refusal| refusal.operation).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(bench.store.position("s1"), progress);
}

fn lease_of(items: &std::collections::BTreeMap<String, Item>) -> crate::state::StoredLease {
    crate::state::read_lease(&items["lease"]).unwrap()
}
