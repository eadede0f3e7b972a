//! Keeps the promise that each operation given to `write` gets exactly one decision.
//!
//! Each operation travels with a [`Ticket`]. Deciding consumes it, and a ticket that is dropped undecided
//! decides "stopped". The last decision of a submission wakes the caller.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::decision::{Decision, Refusal};
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
    /// Learns of each refusal as it falls.
    refusals: Option<mpsc::Sender<(usize, Refusal)>>,
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

// === impl Submission ===

impl Submission {
    pub(super) fn new(
        operations: usize,
        permit: Option<Arc<dyn Permit>>,
    ) -> (Arc<Submission>, oneshot::Receiver<Vec<Decision>>) {
        let (done, receiver) = oneshot::channel();
        let decisions = std::iter::repeat_with(|| None).take(operations).collect();
        let slots = Mutex::new(Slots { decisions, open: operations, done: Some(done), refusals: None, room: None });
        (Arc::new(Submission { slots, abandoned: AtomicBool::new(false), permit }), receiver)
    }

    /// The ticket of one position; asked for once each.
    pub(super) fn ticket(self: &Arc<Submission>, position: usize) -> Ticket {
        Ticket { submission: Arc::clone(self), position, decided: false }
    }

    /// Sends the refusals that fall from now on, with their positions. Give it room for one for each operation.
    pub(super) fn report_refusals(&self, to: mpsc::Sender<(usize, Refusal)>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.open > 0 {
            slots.refusals = Some(to);
        }
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
        let refusal = if let Decision::Refused(refusal) = &decision { Some(refusal.clone()) } else { None };
        *slot = Some(decision);
        if let (Some(refusals), Some(refusal)) = (&slots.refusals, refusal) {
            // The caller may have left.
            let _ = refusals.try_send((position, refusal));
        }
        slots.open -= 1;
        if slots.open == 0 {
            slots.refusals = None;
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
