//! Deletes that are sent a second time, a minute later. Pure.
//!
//! A request that was not answered may still be carried out, after a later delete of its document. OpenSearch refuses it
//! by its version as long as it remembers the delete, which a restart or a relocation can end early. So such a delete is
//! sent once more at the same version, which changes nothing where the first one holds.

use std::collections::{BTreeMap, HashMap};

use streamdex_mapping::Action;
use tokio::time::{Duration, Instant};

use super::op::{Op, Purpose};
use super::submission::{Submission, Ticket};

/// How long after the first delete.
pub(super) const AFTER: Duration = Duration::from_secs(60);
/// How long an unanswered request is remembered. A server that carries it out later than this is not known.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How often one is looked at that must not be sent yet.
const AGAIN: Duration = Duration::from_secs(1);
/// Documents of unanswered requests, and deletes that wait; what is beyond is not remembered.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Echoes {
    /// Documents with an attempt that was not answered.
    unanswered: HashMap<u64, Instant>,
    due: BTreeMap<(Instant, u64), Op>,
    /// Where in `due` a document's delete is.
    places: HashMap<u64, (Instant, u64)>,
    serial: u64,
}

// === impl Echoes ===

impl Echoes {
    /// A request with this document was not answered.
    pub(super) fn unanswered(&mut self, document: u64, now: Instant) {
        if self.unanswered.len() >= MOST {
            self.unanswered.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        }
        if self.unanswered.len() < MOST {
            self.unanswered.insert(document, now);
        }
    }

    /// An operation was carried out. Where it is a delete after an unanswered attempt, it comes again; `doubted` says that
    /// there may be one by an earlier process, of which nothing is known here.
    pub(super) fn carried_out(&mut self, op: &Op, doubted: bool, now: Instant) {
        let recent =
            doubted || self.unanswered.get(&op.document).is_some_and(|at| now.duration_since(*at) < REMEMBERED);
        let wanted = recent && op.operation.action == Action::Delete && op.purpose == Purpose::Decision;
        if !wanted || self.due.len() >= MOST {
            return;
        }
        // Nobody waits for its decision; it may be sent only as long as the first one might.
        let ticket: Ticket = Submission::new(1, op.ticket.permit().cloned()).0.ticket(0);
        let again = Op::new(op.operation.clone(), op.concrete.clone(), op.bytes, op.document, ticket);
        self.serial += 1;
        let at = now + AFTER;
        self.newer(op.document);
        self.places.insert(op.document, (at, self.serial));
        self.due.insert((at, self.serial), Op { taken_at: at, purpose: Purpose::Echo, ..again });
    }

    /// A newer operation on a document came in: its own version protects it from older requests.
    pub(super) fn newer(&mut self, document: u64) {
        if let Some(place) = self.places.remove(&document) {
            self.due.remove(&place);
        }
    }

    /// Those whose time has come. One that must not be sent now waits on: the permit may be granted again.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Op> {
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            let ((_, serial), op) = first.remove_entry();
            self.places.remove(&op.document);
            match op.ticket.permit() {
                Some(permit) if !permit.is_granted() => waiting.push((serial, op)),
                _ => due.push(op),
            }
        }
        for (serial, op) in waiting.into_iter().filter(|(_, op)| now.duration_since(op.taken_at) < REMEMBERED) {
            let place = (now + AGAIN, serial);
            self.places.insert(op.document, place);
            self.due.insert(place, op);
        }
        due
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Drops all: their decisions were given.
    pub(super) fn clear(&mut self) {
        self.due.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::writer::Permit;
    use crate::writer::op::sample;

    fn delete(id: &str) -> Op {
        let mut op = sample("a", id);
        op.operation.action = Action::Delete;
        op
    }

    #[tokio::test(start_paused = true)]
    async fn l5_after_an_earlier_process_every_delete_comes_again() {
        let (mut echoes, now) = (Echoes::default(), Instant::now());
        echoes.carried_out(&sample("a", "x"), true, now);
        assert_eq!(echoes.next(), None, "what is not a delete is protected by its version");
        echoes.carried_out(&delete("y"), true, now);
        assert_eq!(echoes.next(), Some(now + AFTER));
    }

    #[tokio::test(start_paused = true)]
    async fn l5_only_a_delete_after_an_unanswered_attempt_comes_again_and_once() {
        let (mut echoes, now) = (Echoes::default(), Instant::now());
        echoes.carried_out(&delete("x"), false, now);
        assert_eq!(echoes.next(), None);
        echoes.unanswered(sample("a", "x").document, now);
        echoes.carried_out(&sample("a", "x"), false, now);
        echoes.carried_out(&delete("y"), false, now);
        assert_eq!(echoes.next(), None);
        echoes.carried_out(&delete("x"), false, now);
        assert_eq!(echoes.next(), Some(now + AFTER));
        assert!(echoes.due(now + AFTER / 2).is_empty());
        let again = echoes.due(now + AFTER).pop().unwrap();
        assert_eq!((again.operation.version, again.purpose), (delete("x").operation.version, Purpose::Echo));
        echoes.carried_out(&again, false, now + AFTER);
        assert_eq!(echoes.next(), None, "an echo has no echo");
        echoes.carried_out(&delete("x"), false, now);
        echoes.newer(delete("x").document);
        assert_eq!(echoes.next(), None, "a newer operation takes its place");
    }

    #[tokio::test(start_paused = true)]
    async fn l5_one_that_must_not_be_sent_waits_until_it_may_be() {
        #[derive(Debug)]
        struct Lapsed(AtomicBool);

        #[async_trait::async_trait]
        impl Permit for Lapsed {
            fn is_granted(&self) -> bool {
                !self.0.load(Ordering::SeqCst)
            }

            async fn revoked(&self) {}
        }

        let permit = Arc::new(Lapsed(AtomicBool::new(true)));
        let (mut echoes, now) = (Echoes::default(), Instant::now());
        let mut first = delete("x");
        first.ticket = Submission::new(1, Some(permit.clone())).0.ticket(0);
        echoes.carried_out(&first, true, now);
        assert!(echoes.due(now + AFTER).is_empty());
        assert_eq!(echoes.next(), Some(now + AFTER + AGAIN));
        permit.0.store(false, Ordering::SeqCst);
        assert_eq!(echoes.due(now + AFTER + AGAIN).len(), 1);
        permit.0.store(true, Ordering::SeqCst);
        echoes.carried_out(&first, true, now);
        assert!(echoes.due(now + AFTER + REMEMBERED).is_empty());
        assert_eq!(echoes.next(), None, "a reader that is gone for so long does not come back");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let (mut echoes, now) = (Echoes::default(), Instant::now());
        (0..25_000).for_each(|document| echoes.unanswered(document, now));
        assert_eq!(echoes.unanswered.len(), MOST);
        echoes.unanswered(30_000, now + REMEMBERED);
        assert_eq!(echoes.unanswered.len(), 1);
    }
}
