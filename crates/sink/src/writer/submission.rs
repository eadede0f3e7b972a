//! Keeps the promise that each operation given to `write` gets exactly one decision.
//!
//! Each operation travels with a [`Ticket`]. Deciding consumes it, and a ticket that is dropped undecided,
//! on whatever way, decides "stopped". The last decision of a submission wakes the caller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use streamdex_mapping::{Operation, Origin};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Duration, Instant};

use super::decision::Decision;
use super::permit::Permit;

/// One call of `write`.
#[derive(Debug)]
pub(super) struct Submission {
    slots: Mutex<Slots>,
    abandoned: AtomicBool,
    permit: Option<Arc<dyn Permit>>,
}

#[derive(Debug)]
struct Slots {
    decisions: Vec<Option<Decision>>,
    open: usize,
    done: Option<oneshot::Sender<Vec<Decision>>>,
    /// Room in memory; given back with the last decision, whether or not anyone still waits for it.
    room: Option<OwnedSemaphorePermit>,
}

/// The right, and the duty, to decide one operation.
#[derive(Debug)]
pub(super) struct Ticket {
    submission: Arc<Submission>,
    position: usize,
    decided: bool,
}

/// Marks the submission as abandoned when the caller stops waiting.
#[derive(Debug)]
pub(super) struct Waiting(pub(super) Arc<Submission>);

/// One operation inside the writer.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) operation: Operation,
    pub(super) concrete: Arc<str>,
    /// Encoded size.
    pub(super) bytes: usize,
    /// A hash of index and id. Two documents with one hash only wait for each other.
    pub(super) document: u64,
    /// When the answer came that carried its item; for others, when the caller handed it in.
    pub(super) taken_at: Instant,
    /// How often an answer asked for it again.
    pub(super) attempts: u32,
    pub(super) suspicion: Suspicion,
    /// The state of its index's gate when it was sent last.
    pub(super) epoch: u64,
    pub(super) ticket: Ticket,
}

/// Whether an operation was part of a request that was refused whole, and with how many others it may be
/// sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspicion {
    pub(super) company: usize,
    pub(super) of: Suspect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspect {
    /// Nothing.
    Nothing,
    /// The request's compression: sent once more without.
    Encoding,
    /// One of its operations.
    Operation,
}

// === impl Submission ===

impl Submission {
    pub(super) fn new(
        operations: usize,
        permit: Option<Arc<dyn Permit>>,
    ) -> (Arc<Submission>, oneshot::Receiver<Vec<Decision>>) {
        let (done, receiver) = oneshot::channel();
        let decisions = std::iter::repeat_with(|| None).take(operations).collect();
        let slots = Mutex::new(Slots { decisions, open: operations, done: Some(done), room: None });
        (Arc::new(Submission { slots, abandoned: AtomicBool::new(false), permit }), receiver)
    }

    /// The ticket of one position; asked for once each.
    pub(super) fn ticket(self: &Arc<Submission>, position: usize) -> Ticket {
        Ticket { submission: Arc::clone(self), position, decided: false }
    }

    pub(super) fn keep(&self, room: OwnedSemaphorePermit) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.open > 0 {
            slots.room = Some(room);
        }
    }

    fn decide(&self, position: usize, decision: Decision) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.decisions.get_mut(position) else { return };
        if slot.is_some() {
            return;
        }
        *slot = Some(decision);
        slots.open -= 1;
        if slots.open == 0 {
            let decisions = std::mem::take(&mut slots.decisions);
            slots.room = None;
            if let Some(done) = slots.done.take() {
                // The caller may have left.
                let _ = done.send(decisions.into_iter().flatten().collect());
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

// === impl Ticket ===

impl Ticket {
    pub(super) fn decide(mut self, decision: Decision) {
        self.decided = true;
        self.submission.decide(self.position, decision);
    }

    /// Whether it must not be sent any more: the caller has stopped waiting, or may not write any longer.
    pub(super) fn is_abandoned(&self) -> bool {
        self.submission.abandoned.load(Ordering::Relaxed) || self.permit().is_some_and(|permit| !permit.is_granted())
    }

    pub(super) fn permit(&self) -> Option<&Arc<dyn Permit>> {
        self.submission.permit.as_ref()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.decided {
            self.submission.decide(self.position, Decision::cancelled());
        }
    }
}

// === impl Op, Suspicion ===

impl Op {
    pub(super) fn is_read(&self) -> bool {
        matches!(self.operation.origin, Origin::Read { .. })
    }

    /// Whether it comes from a read that is too old to be sent.
    ///
    /// Its age is counted from the answer that carried the item, on this machine's steady clock: `at` is the
    /// server's time, and the difference of two machines' clocks is no age.
    pub(super) fn is_stale(&self, now: Instant, oldest: Duration) -> bool {
        self.is_read() && now.duration_since(self.taken_at) > oldest
    }
}

impl Suspicion {
    pub(super) const NONE: Suspicion = Suspicion { company: usize::MAX, of: Suspect::Nothing };
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamdex_mapping::Outcome;

    #[tokio::test]
    async fn a_dropped_ticket_is_a_decision() {
        let (submission, receiver) = Submission::new(3, None);
        submission.ticket(1).decide(Decision::Done(Outcome::Applied));
        drop(submission.ticket(0));
        submission.ticket(2).decide(Decision::ReadAgain);
        let decisions = receiver.await.unwrap();
        assert!(matches!(decisions[..], [Decision::Stopped(_), Decision::Done(Outcome::Applied), Decision::ReadAgain]));
    }

    #[tokio::test]
    async fn a_caller_that_leaves_is_noticed() {
        let (submission, receiver) = Submission::new(1, None);
        let ticket = submission.ticket(0);
        let waiting = Waiting(Arc::clone(&submission));
        assert!(!ticket.is_abandoned());
        drop((waiting, receiver));
        assert!(ticket.is_abandoned());
        ticket.decide(Decision::ReadAgain);
    }
}
