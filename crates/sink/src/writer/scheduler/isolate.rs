//! Requests that fail whole because of one index or one document: sends their operations separately.

use tokio::time::Instant;

use super::settle::report_end;
use super::{Scheduler, When};
use crate::classify::PauseReason;
use crate::scrub::Scrubbed;
use crate::writer::op::Op;
use crate::writer::request::Sent;
use crate::writer::stats::Counters;
use crate::writer::verdict::{LASTING, failing_index};

/// Attempts of one index's operations without an answer, while others are answered, before the index pauses.
const SILENT: u32 = 3;

impl Scheduler {
    /// A request was not answered while others were: it says nothing of the cluster, but perhaps of its index.
    pub(super) fn silent(&mut self, sent: &Sent, mut ops: Vec<Op>, detail: String, now: Instant) {
        for op in &mut ops {
            op.unavailable = true;
            self.queue.set_apart(&op.operation.address.index);
        }
        let lasting = sent.probes.is_some() || ops.iter().all(|op| op.attempts + 1 >= SILENT);
        if lasting && is_of_one_index(&ops) {
            self.index_fails(ops, PauseReason::NoAnswer, detail, now);
        } else {
            self.put_back_later(ops, now);
        }
    }

    /// A request broke in OpenSearch, by an error that does not pass: a pipeline where no node runs any does that to all
    /// requests with its index, and a defect to those with one document. Its indices go apart, then its halves; one
    /// operation alone counts as a refused one of its index.
    pub(super) fn request_broke(&mut self, sent: &Sent, mut ops: Vec<Op>, status: u16, error: &Scrubbed, now: Instant) {
        // OpenSearch itself has answered.
        for ended in self.gates.succeed(sent.epochs) {
            report_end(&ended, now);
        }
        ops.iter().for_each(|op| self.queue.set_apart(&op.operation.address.index));
        if let Some(index) = &sent.probes {
            if self.gates.is_braked(index) {
                self.probe_again(ops, index, error, now);
            } else {
                self.index_fails(ops, PauseReason::ServerErrors, error.to_string(), now);
            }
        } else if ops.iter().any(|op| op.attempts + 1 < LASTING) {
            self.put_back_later(ops, now);
        } else if ops.len() == 1 {
            ops.into_iter().for_each(|op| self.doubt(op, status, error, now));
        } else {
            Counters::add(&self.counters.split, 1);
            self.progress.divided(now);
            let half = ops.len().div_ceil(2);
            ops.iter_mut().for_each(|op| op.suspicion.company = half);
            self.put_back(ops, When::Now, now);
        }
    }

    /// The index pauses, and the next probe is another operation.
    fn index_fails(&mut self, mut ops: Vec<Op>, reason: PauseReason, detail: String, now: Instant) {
        let Some(first) = ops.first() else { return };
        let answer = failing_index(first, reason, detail);
        for op in &mut ops {
            op.attempts = 0;
            op.probes = op.probes.saturating_add(1);
        }
        self.put_back(ops, When::Behind, now);
        self.fail_index(answer, now);
    }
}

fn is_of_one_index(ops: &[Op]) -> bool {
    let mut indices = ops.iter().map(|op| &op.operation.address.index);
    let first = indices.next();
    indices.all(|index| Some(index) == first)
}
