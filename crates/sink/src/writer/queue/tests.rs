use super::*;
use crate::writer::op::sample;
use crate::writer::suspicion::{Suspect, Suspicion};
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
    let suspicion = Suspicion { company: 2, of: Suspect::Operation, braked: false };
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
    let probe = queue.take_apart(ROOM, now + SECOND);
    assert_eq!((ids(&probe.send), probe.probes.unwrap().as_str()), (vec!["x"], "a"));
    assert!(queue.take_apart(ROOM, now + SECOND).is_empty());
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

#[tokio::test(start_paused = true)]
async fn another_operation_is_the_probe_each_time() {
    let now = Instant::now();
    let mut queue = queue(&["x", "y", "z"]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        close(&mut queue, now);
        let mut taken = queue.take_apart(ROOM, now).send;
        seen.push(ids(&taken)[0].to_owned());
        taken.iter_mut().for_each(|op| op.probes += 1);
        taken.iter().for_each(|op| queue.landed(op));
        queue.put_behind(taken);
    }
    seen[..3].sort();
    seen[3..].sort();
    assert_eq!(seen, ["x", "y", "z", "x", "y", "z"]);
}

#[tokio::test(start_paused = true)]
async fn r4_a_probe_of_a_braked_index_is_an_index_operation_that_was_not_refused_yet() {
    let now = Instant::now();
    let mut queue = Queue::default();
    let mut delete = sample("a", "delete");
    delete.operation.action = streamdex_mapping::Action::Delete;
    let suspicion = Suspicion { braked: true, ..Suspicion::NONE };
    queue.push(Op { suspicion, ..sample("a", "refused") });
    queue.push(delete);
    queue.push(sample("a", "good"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        close(&mut queue, now);
        seen.extend(queue.take_apart(ROOM, now).send.iter().map(|op| op.operation.address.id.as_str().to_owned()));
    }
    assert_eq!(seen, ["good", "delete", "refused"]);
}

#[tokio::test(start_paused = true)]
async fn deletes_of_a_braked_index_are_probed_in_turn_and_all_of_them_where_they_pass() {
    let now = Instant::now();
    let mut queue = queue(&["a", "b", "c", "d", "e", "f"]);
    for id in ["x", "y"] {
        let mut delete = sample("a", id);
        delete.operation.action = streamdex_mapping::Action::Delete;
        queue.push(delete);
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        close(&mut queue, now);
        let taken = queue.take_apart(ROOM, now).send;
        if !taken[0].is_index() {
            queue.deletes_pass(&IndexName::parse("a").unwrap());
        }
        seen.push(if taken[0].is_index() { "index" } else { "delete" });
    }
    assert_eq!(seen, ["index", "index", "delete", "delete", "index"]);
}

#[tokio::test(start_paused = true)]
async fn what_met_unavailable_shards_is_not_mixed_and_goes_one_request_at_a_time() {
    let now = Instant::now();
    let mut queue = queue(&["x"]);
    queue.push(sample("b", "y"));
    let mut red = queue.take(ROOM, now).send;
    let healthy = red.split_off(1);
    red[0].unavailable = true;
    red.iter().chain(&healthy).for_each(|op| queue.landed(op));
    queue.put_back(red);
    queue.put_back(healthy);
    queue.push(sample("a", "w"));
    queue.set_apart(&IndexName::parse("a").unwrap());
    assert_eq!(ids(&queue.take(ROOM, now).send), ["y"]);
    let apart = queue.take_apart(ROOM, now);
    assert_eq!((ids(&apart.send), apart.apart.as_ref().unwrap().as_str()), (vec!["x"], "a"));
    // What did not meet them goes beside it, and nothing more while both are under way.
    let rest = queue.take_apart(ROOM, now);
    assert_eq!(ids(&rest.send), ["w"]);
    queue.push(sample("a", "v"));
    assert!(queue.take_apart(ROOM, now).is_empty() && queue.take(ROOM, now).is_empty());
    rest.send.iter().chain(&apart.send).for_each(|op| queue.landed(op));
    queue.mix(&IndexName::parse("a").unwrap());
    assert_eq!(ids(&queue.take(ROOM, now).send), ["v"]);
}
