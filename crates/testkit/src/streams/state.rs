//! The served data: the table's names, its shards, and the number of calls of each operation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::limits::Allowance;
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
    pub(super) calls: Mutex<BTreeMap<String, Calls>>,
    /// What is left of DescribeStream; `None` where nobody is throttled.
    pub(super) describe_stream: Option<Mutex<Allowance>>,
    /// Between two reads of one shard.
    pub(super) between_reads: Mutex<Vec<Duration>>,
}

/// How often an operation was called.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Calls {
    pub(super) all: u64,
    pub(super) throttled: u64,
}

// === impl Shared ===

impl Shared {
    pub(super) fn shards(&self) -> MutexGuard<'_, BTreeMap<String, ShardLog>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, operation: &str) {
        self.calls_of(operation, |calls| calls.all += 1);
    }

    pub(super) fn count_throttled(&self, operation: &str) {
        self.calls_of(operation, |calls| calls.throttled += 1);
    }

    pub(super) fn between_reads(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.between_reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self, operation: &str) -> Calls {
        self.lock_calls().get(operation).copied().unwrap_or_default()
    }

    fn calls_of(&self, operation: &str, change: impl FnOnce(&mut Calls)) {
        let mut calls = self.lock_calls();
        match calls.get_mut(operation) {
            Some(calls) => change(calls),
            None => change(calls.entry(operation.to_owned()).or_default()),
        }
    }

    fn lock_calls(&self) -> MutexGuard<'_, BTreeMap<String, Calls>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
