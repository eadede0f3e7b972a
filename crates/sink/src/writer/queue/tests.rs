use super::*;
use crate::writer::op::sample;
use crate::writer::suspicion::Suspicion;
use streamdex_mapping::Origin;

const SECOND: Duration = Duration::from_secs(1);
const ROOM: Room = Room { operations: 100, bytes: 10_000, oldest_read: Duration::from_secs(30) };

fn queue(ids: &[&str]) -> Queue {
    let mut queue = Queue::default();
    ids.iter().for_each(|id| queue.push(sample("a", id)));
    queue
}

fn ids(ops: &[Op]) -> Vec<&str> {
    ops.iter().map(|op| op.operation.address.id.as_str()).collect()
}

fn close(queue: &mut Queue, until: Instant) {
    let gate = queue.gate(&IndexName::parse("a").unwrap());
    gate.fail(gate.epoch());
    gate.close(until);
}

#[tokio::test(start_paused = true)]
async fn one_operation_per_document_is_under_way() {
    let now = Instant::now();
    let mut queue = queue(&["x", "y", "x"]);
    assert_eq!((queue.len(), queue.ready().operations), (3, 2));
    let taken = queue.take(ROOM, now).send;
    assert_eq!(ids(&taken), ["x", "y"]);
    assert!(queue.take(ROOM, now).is_empty());
    queue.release(taken[0].document);
    assert_eq!(ids(&queue.take(ROOM, now).send), ["x"]);
    assert_eq!(queue.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_is_sent_first_and_in_order() {
    let now = Instant::now();
    let mut queue = queue(&["x", "y"]);
    let taken = queue.take(ROOM, now).send;
    queue.push(sample("a", "z"));
    queue.put_back(taken);
    let taken = queue.take(ROOM, now).send;
    assert_eq!(ids(&taken), ["x", "y", "z"]);
    queue.delay(taken, now + SECOND);
    assert_eq!((queue.len(), queue.next_delayed()), (3, Some(now + SECOND)));
    queue.wake(now);
    assert!(queue.take(ROOM, now).is_empty());
    queue.wake(now + SECOND);
    assert_eq!(ids(&queue.take(ROOM, now).send), ["x", "y", "z"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_holds_what_fits_and_one_that_is_larger_alone() {
    let now = Instant::now();
    assert_eq!(queue(&["x", "y", "z"]).take(Room { operations: 2, ..ROOM }, now).send.len(), 2);
    assert_eq!(queue(&["x", "y", "z"]).take(Room { bytes: 250, ..ROOM }, now).send.len(), 2);
    assert_eq!(queue(&["x", "y", "z"]).take(Room { bytes: 10, ..ROOM }, now).send.len(), 1);
    let mut suspects = queue(&["x"]);
    let suspicion = Suspicion { company: 2, of: Suspect::Operation };
    ["y", "z"].iter().for_each(|id| suspects.push(Op { suspicion, ..sample("a", id) }));
    let taken = suspects.take(ROOM, now);
    assert_eq!((ids(&taken.send), taken.is_suspicious()), (vec!["x", "y"], true));
}

#[tokio::test(start_paused = true)]
async fn an_old_read_is_taken_out_and_not_sent() {
    let now = Instant::now();
    let mut queue = queue(&["x"]);
    let mut read = sample("a", "y");
    read.operation.origin = Origin::Read { at: 0 };
    queue.push(read);
    let taken = queue.take(ROOM, now + SECOND * 31);
    assert_eq!((ids(&taken.send), ids(&taken.stale)), (vec!["x"], vec!["y"]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_company_unless_it_is_full() {
    let now = Instant::now();
    let linger = Company::UpTo(SECOND);
    assert!(queue(&["x"]).take_batch(ROOM, linger, now).is_empty());
    assert_eq!(queue(&["x"]).take_batch(ROOM, linger, now + SECOND).send.len(), 1);
    assert_eq!(queue(&["x"]).take_batch(ROOM, Company::None, now).send.len(), 1);
    assert_eq!(queue(&["x", "y"]).take_batch(Room { operations: 2, ..ROOM }, linger, now).send.len(), 2);
    assert!(queue(&[]).take_batch(ROOM, Company::None, now).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_closed_index_is_probed_with_one_operation_and_holds_back_no_other() {
    let now = Instant::now();
    let mut queue = queue(&["x", "y"]);
    close(&mut queue, now + SECOND);
    queue.push(sample("b", "z"));
    assert_eq!(queue.next_probe(), Some(now + SECOND));
    assert_eq!(ids(&queue.take_batch(ROOM, Company::None, now).send), ["z"]);
    let probe = queue.take_batch(ROOM, Company::None, now + SECOND);
    assert_eq!((ids(&probe.send), probe.probes.unwrap().as_str()), (vec!["x"], "a"));
    assert!(queue.take_batch(ROOM, Company::None, now + SECOND).is_empty());
    assert_eq!(queue.next_probe(), None);
}

#[tokio::test(start_paused = true)]
async fn draining_takes_everything_out() {
    let now = Instant::now();
    let mut queue = queue(&["w", "x", "x", "y"]);
    let first = queue.take(Room { operations: 1, ..ROOM }, now).send;
    queue.delay(first, now + SECOND);
    assert_eq!((queue.drain().len(), queue.len(), queue.next_delayed()), (4, 0, None));
    queue.push(sample("a", "x"));
    assert_eq!(queue.take(ROOM, now).send.len(), 1);
}
