//! What is known of one shard's task from outside.

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
    /// The shard's item names this run.
    begun: bool,
    /// The last checkpoint that is stored.
    stored: Option<Checkpoint>,
}

impl Default for Activity {
    fn default() -> Activity {
        let seen =
            Seen { active: Instant::now(), calls_per_hour: 0.0, ended: None, closed: None, begun: false, stored: None };
        Activity(Mutex::new(seen))
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
