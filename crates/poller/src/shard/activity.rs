//! The state of a shard's task, seen from outside.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::state::Checkpoint;

/// Signs of activity of one shard's task, for the watchdog, and what a task that takes its place needs to know.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    active: Instant,
    calls_per_hour: f64,
    /// Since when a listing shows an ending sequence number. Emulators show one on open shards too.
    ended: Option<Instant>,
    /// Since when it is known that it has a child, that the stream is switched off, or that the service itself shows an
    /// ending sequence number.
    closed: Option<Instant>,
    /// When the last complete listing was begun.
    listed: Option<Instant>,
    /// The shard's item names this run.
    begun: bool,
    /// The last checkpoint that is stored.
    stored: Option<Checkpoint>,
}

impl Default for Activity {
    fn default() -> Activity {
        Activity(Mutex::new(Seen {
            active: Instant::now(),
            calls_per_hour: 0.0,
            ended: None,
            closed: None,
            listed: None,
            begun: false,
            stored: None,
        }))
    }
}

impl Activity {
    /// Something has come to an end, well or badly.
    pub(crate) fn note(&self) {
        self.seen().active = Instant::now();
    }

    /// How long nothing has.
    pub(crate) fn silent_for(&self) -> Duration {
        self.seen().active.elapsed()
    }

    pub(crate) fn expect_calls(&self, per_hour: f64) {
        self.seen().calls_per_hour = per_hour;
    }

    pub(crate) fn calls_per_hour(&self) -> f64 {
        self.seen().calls_per_hour
    }

    pub(crate) fn end(&self) {
        self.seen().ended.get_or_insert_with(Instant::now);
    }

    /// Whether there was any sign before `asked` that the shard takes no more records.
    pub(crate) fn may_be_closed_at(&self, asked: Instant) -> bool {
        let seen = self.seen();
        [seen.ended, seen.closed].into_iter().flatten().any(|since| since <= asked)
    }

    pub(crate) fn close(&self) {
        self.seen().closed.get_or_insert_with(Instant::now);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.seen().closed.is_some()
    }

    /// Whether that was known when `asked`: an answer that is older may lack the last records.
    pub(crate) fn is_closed_at(&self, asked: Instant) -> bool {
        self.seen().closed.is_some_and(|since| since <= asked)
    }

    /// Notes that a complete listing that began then has been processed for the shard.
    pub(crate) fn note_listing(&self, began: Instant) {
        self.seen().listed = Some(began);
    }

    /// Whether there was such a listing after `moment`.
    pub(crate) fn was_listed_after(&self, moment: Instant) -> bool {
        self.seen().listed.is_some_and(|listed| listed >= moment)
    }

    /// For the task that takes this one's place: a shard that was closed is not open again, whatever a listing leaves out.
    pub(crate) fn of_the_next_task(&self) -> Activity {
        let (next, seen) = (Activity::default(), self.seen());
        (next.seen().ended, next.seen().closed, next.seen().listed) = (seen.ended, seen.closed, seen.listed);
        drop(seen);
        next
    }

    pub(crate) fn begin(&self) {
        self.seen().begun = true;
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.seen().begun
    }

    pub(crate) fn checkpointed(&self, checkpoint: Checkpoint) {
        self.seen().stored = Some(checkpoint);
    }

    pub(crate) fn stored(&self) -> Option<Checkpoint> {
        self.seen().stored.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l12_a_shard_that_was_closed_is_closed_for_the_next_task_too() {
        let (activity, before) = (Activity::default(), Instant::now());
        assert!(!activity.of_the_next_task().is_closed() && !activity.was_listed_after(before));
        activity.end();
        activity.note_listing(Instant::now());
        let next = activity.of_the_next_task();
        assert!(next.may_be_closed_at(Instant::now()) && !next.is_closed() && next.was_listed_after(before));
        activity.close();
        assert!(activity.of_the_next_task().is_closed());
    }
}
