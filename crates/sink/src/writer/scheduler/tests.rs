use streamdex_config::Compression;
use streamdex_mapping::Outcome;

use super::*;
use crate::scrub::Scrubbed;
use crate::writer::answer::{ItemAnswer, Speaker, WholeAnswer};
use crate::writer::op::sample;
use crate::writer::request::{Finished, Reply};
use crate::writer::settings::{Patience, ShortStreak};
use crate::writer::submission::Submission;

const SECOND: Duration = Duration::from_secs(1);

fn scheduler() -> Scheduler {
    let settings = WriterSettings {
        compression: Compression::None,
        max_batch_bytes: 1 << 20,
        max_batch_operations: 100,
        max_concurrent_requests: 4,
        request_timeout: SECOND * 60,
        linger: SECOND / 10,
        memory: 1 << 20,
        first_retry: SECOND / 10,
        longest_retry: SECOND * 30,
        oldest_read: SECOND * 30,
        stop_grace: SECOND * 8,
        patience: Patience::Endless,
        brake_after: 50,
        brake_after_field: 1000,
        short_streak: ShortStreak::Refuse { proven: Duration::from_secs(2), unproven: Duration::from_secs(60) },
        seed: Some(1),
    };
    let learned = Learned::new(&settings);
    Scheduler::new(settings, learned, Arc::default(), Instant::now())
}

fn item(status: u16, error_type: Option<&str>) -> ItemAnswer {
    let error = error_type.map(|error_type| Box::new(Scrubbed { error_type: error_type.to_owned(), detail: None }));
    ItemAnswer { status, error }
}

fn answered(sent: Sent, reply: Reply) -> Finished {
    Finished { sent, took: SECOND / 100, reply }
}

#[tokio::test(start_paused = true)]
async fn each_item_is_decided_or_put_back() {
    let (mut scheduler, now) = (scheduler(), Instant::now());
    let (submission, receiver) = Submission::new(4, None);
    let ops = ["a", "b", "c", "d"].iter().enumerate();
    let ops = ops.map(|(position, id)| Op { ticket: submission.ticket(position), ..sample("x", id) }).collect();
    scheduler.accept(ops, 0, now);
    let sent = scheduler.next_request(0, now).unwrap();
    assert!(scheduler.next_request(1, now).is_none());
    let refused = item(400, Some("mapper_parsing_exception"));
    let items = vec![item(201, None), item(429, None), refused, item(429, None)];
    scheduler.settle(answered(sent, Reply::Items(items)), now);
    assert_eq!(scheduler.queue.len(), 2);
    let later = scheduler.next_wake(0, now).unwrap();
    scheduler.advance(later);
    let sent = scheduler.next_request(0, later).unwrap();
    assert_eq!(sent.ops.iter().map(|op| op.attempts).collect::<Vec<_>>(), [1, 1]);
    scheduler.settle(answered(sent, Reply::Items(vec![item(200, None), item(200, None)])), later);
    assert!(scheduler.is_idle());
    let outcomes: Vec<_> = receiver.await.unwrap().iter().map(Decision::outcome).collect();
    let applied = Some(Outcome::Applied);
    assert_eq!(outcomes, [applied, applied, Some(Outcome::DeadLettered), applied]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_closes_the_gate_and_a_probe_opens_it() {
    let (mut scheduler, now) = (scheduler(), Instant::now());
    scheduler.accept(["a", "b", "c"].map(|id| sample("x", id)).into(), 0, now);
    let sent = scheduler.next_request(0, now).unwrap();
    let answer = WholeAnswer {
        status: 503,
        error_type: None,
        error: *item(503, Some("x")).error.unwrap(),
        speaker: Speaker::Service,
    };
    scheduler.settle(answered(sent, Reply::Whole(answer, Some(SECOND * 5))), now);
    assert!(scheduler.next_request(0, now).is_none());
    let at = scheduler.next_wake(0, now).unwrap();
    assert!(at >= now + SECOND * 5);
    let probe = scheduler.next_request(0, at).unwrap();
    assert_eq!((probe.ops.len(), probe.probes_all), (1, true));
    assert!(scheduler.next_request(1, at).is_none());
    scheduler.settle(answered(probe, Reply::Items(vec![item(200, None)])), at);
    assert_eq!(scheduler.next_request(0, at).unwrap().ops.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_nothing_is_sent_and_nothing_kept() {
    let (mut scheduler, now) = (scheduler(), Instant::now());
    scheduler.accept(vec![sample("x", "a")], 0, now);
    let sent = scheduler.next_request(0, now).unwrap();
    scheduler.accept(vec![sample("x", "b")], 1, now);
    scheduler.stop(Fault::Cancelled);
    assert!(scheduler.is_stopped() && scheduler.is_idle());
    scheduler.accept(vec![sample("x", "c")], 1, now);
    scheduler.settle(answered(sent, Reply::Withdrawn), now);
    assert!(scheduler.is_idle() && scheduler.next_request(0, now).is_none());
}

/// A time that has passed would make the dispatcher spin.
#[tokio::test(start_paused = true)]
async fn an_index_that_is_due_for_a_probe_waits_for_a_place_without_a_wake() {
    let (mut scheduler, now) = (scheduler(), Instant::now());
    scheduler.settings.max_concurrent_requests = 2;
    let indices = ["x", "y"];
    scheduler.accept(indices.map(|index| sample(index, "a")).into(), 0, now);
    scheduler.accept(indices.map(|index| sample(index, "b")).into(), 0, now);
    let sent = scheduler.next_request(0, now).unwrap();
    let blocked = || item(403, Some("cluster_block_exception"));
    let items = sent.ops.iter().map(|_| blocked()).collect();
    scheduler.settle(answered(sent, Reply::Items(items)), now);
    // Both gates are closed, and both are due; one place is left to other indices.
    let later = now + SECOND * 60;
    let probe = scheduler.next_request(0, later).unwrap();
    assert_eq!(probe.probes.as_ref().unwrap().as_str(), "x");
    assert!(scheduler.next_request(1, later).is_none());
    assert!(
        scheduler
            .next_wake(1, later)
            .is_none_or(|at| at > later || scheduler.gates.pauses().next_reminder() == Some(at))
    );
    scheduler.settle(answered(probe, Reply::Items(vec![blocked()])), later);
    assert_eq!(scheduler.next_request(0, later).unwrap().probes.unwrap().as_str(), "y");
}
