//! What is served: the table's names, its shards, and how often each operation was called.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::log::ShardLog;

/// The stream's label, the last part of its ARN.
pub(super) const LABEL: &str = "2025-06-15T00:00:00.000";

/// What the connections and the measurement share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) table: String,
    pub(super) table_arn: String,
    pub(super) stream_arn: String,
    pub(super) shards: Mutex<BTreeMap<String, ShardLog>>,
    pub(super) calls: Mutex<BTreeMap<String, u64>>,
}

// === impl Shared ===

impl Shared {
    pub(super) fn shards(&self) -> MutexGuard<'_, BTreeMap<String, ShardLog>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_calls(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, operation: &str) {
        *self.lock_calls().entry(operation.to_owned()).or_default() += 1;
    }
}
