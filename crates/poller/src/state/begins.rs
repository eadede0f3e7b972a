//! Starts shards in batches. Each start is a write under the condition of the lease, and concurrent writes of this kind
//! refuse one another.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use streamdex_dynamodb::state::{Answer, Item, Operation, StateError, number};
use tokio::sync::oneshot;

use super::writes::names;
use crate::lease::{Fenced, Lease};

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Begins(Mutex<VecDeque<Waiting>>);

/// One that waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    operation: Operation,
    run: u64,
    answer: oneshot::Sender<Result<Fenced, StateError>>,
}

// === impl Begins ===

impl Begins {
    /// Adds one, and gives what its answer comes through.
    pub(super) fn add(&self, operation: Operation, run: u64) -> oneshot::Receiver<Result<Fenced, StateError>> {
        let (answer, receiver) = oneshot::channel();
        self.waiting().push_back(Waiting { operation, run, answer });
        receiver
    }

    /// The first ones, at most so many, for whom somebody still waits.
    pub(super) fn take(&self, most: usize) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        waiting.retain(|one| !one.answer.is_closed());
        let count = most.min(waiting.len());
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writes of a batch, behind the check of the lease.
pub(super) fn operations(lease_is_mine: Operation, batch: &[Waiting]) -> Vec<Operation> {
    std::iter::once(lease_is_mine).chain(batch.iter().map(|one| one.operation.clone())).collect()
}

/// Answers the decided starts of a batch and returns the others: a refused transaction stores nothing.
pub(super) fn settle(batch: Vec<Waiting>, lease: &Lease, answer: Result<Answer, StateError>) -> Vec<Waiting> {
    let refused = match answer {
        Ok(Answer::Stored) => {
            batch.into_iter().for_each(|one| one.tell(Ok(Fenced::Stored)));
            return Vec::new();
        }
        Ok(Answer::Refused(refused)) => refused,
        Err(error) => {
            batch.into_iter().for_each(|one| one.tell(Err(error.clone())));
            return Vec::new();
        }
    };
    if refused.iter().any(|refusal| refusal.operation == 0) {
        batch.into_iter().for_each(|one| one.tell(Ok(Fenced::Lost)));
        return Vec::new();
    }
    let mut left = Vec::new();
    for (place, one) in batch.into_iter().enumerate() {
        let Some(refusal) = refused.iter().find(|refusal| refusal.operation == place + 1) else {
            left.push(one);
            continue;
        };
        // One's own value is success: an earlier attempt was carried out.
        let is_it = |item: &Item| names(item, lease) && number(item, "run") == Some(one.run);
        let fenced = if refusal.found.as_ref().is_some_and(is_it) { Fenced::Stored } else { Fenced::Lost };
        one.tell(Ok(fenced));
    }
    left
}

// === impl Waiting ===

impl Waiting {
    /// Nobody waits any more where this fails.
    fn tell(self, answer: Result<Fenced, StateError>) {
        let _ = self.answer.send(answer);
    }
}
