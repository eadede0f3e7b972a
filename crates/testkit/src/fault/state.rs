//! The rules and the recorded requests of one server.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::record::Records;
use super::rule::{Rule, RuleId};
use super::upstream::Upstream;

/// What the connections and the test share.
#[derive(Debug)]
pub(super) struct Shared {
    rules: Mutex<Vec<(RuleId, Rule)>>,
    records: Mutex<Records>,
    pub(super) changed: watch::Sender<u64>,
    pub(super) next_rule: AtomicU64,
    pub(super) upstream: Upstream,
}

impl Shared {
    pub(super) fn new(upstream: Upstream) -> Self {
        Self {
            rules: Mutex::default(),
            records: Mutex::default(),
            changed: watch::Sender::new(0),
            next_rule: AtomicU64::new(0),
            upstream,
        }
    }

    pub(super) fn rules(&self) -> MutexGuard<'_, Vec<(RuleId, Rule)>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}
