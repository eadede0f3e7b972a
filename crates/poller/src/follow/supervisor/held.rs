//! The leases that this worker has.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::lease::Lease;
use crate::shard::Vital;

/// A lease, and what is done under it.
pub(super) struct Held {
    pub(super) lease: Lease,
    pub(super) work: Work,
}

pub(super) enum Work {
    /// A task reads the shard.
    Reading(Reading),
    /// The shard is drained, and its children are looked for.
    SearchingChildren,
    /// It cannot go on, and nobody else can with it.
    Standing,
}

pub(super) struct Reading {
    /// Give it back in good order.
    pub(super) stop: CancellationToken,
    /// Drop everything.
    pub(super) kill: CancellationToken,
    pub(super) vital: Arc<Vital>,
}

/// A task that comes to the end of nothing for so long, and is not held back by something known, hangs: every
/// call has a deadline far below.
const HANGS: Duration = Duration::from_secs(5 * 60);

impl Held {
    pub(super) fn reading(&self) -> Option<&Reading> {
        match &self.work {
            Work::Reading(reading) => Some(reading),
            Work::SearchingChildren | Work::Standing => None,
        }
    }

    pub(super) fn hangs(&self) -> bool {
        self.reading().is_some_and(|reading| reading.vital.silent_for() >= HANGS)
    }
}
