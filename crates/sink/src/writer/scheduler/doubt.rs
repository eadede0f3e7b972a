//! Refusals that may not be their documents' fault: holds them, decides them, or returns them (docs/adr/0009-brake.md).

use std::sync::Arc;

use streamdex_mapping::IndexName;
use tokio::time::{Duration, Instant};

use super::settle::report_end;
use super::{Scheduler, When};
use crate::pause::Scope;
use crate::scrub::Scrubbed;
use crate::writer::decision::{Decision, Fault, Refusal};
use crate::writer::held::{Cause, Held, LoneFault};
use crate::writer::op::{Op, Purpose};
use crate::writer::probe::BulkProbe;
use crate::writer::refusals::Blame;
use crate::writer::request::Sent;
use crate::writer::settings::ShortStreak;
use crate::writer::streaks::{Bounds, Names, Released, Ruling};
use crate::writer::verdict::{Refused, all_requests_refused};

/// What becomes of held operations that nothing else can show the cause of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolved {
    /// Nothing yet.
    Wait,
    /// They are dead letters.
    Refuse,
    /// They are given back undecided.
    GiveBack,
    /// They are sent again.
    SendAgain,
}

impl Scheduler {
    // --- refused items ---

    /// An operation was refused in an answer that accepted no index operation of its index.
    pub(super) fn doubt(&mut self, op: Op, status: u16, error: &Scrubbed, now: Instant) {
        let again = op.suspicion.braked && !self.learned.lock().streaks.is_braked(&op.concrete);
        if again || op.purpose == Purpose::Echo {
            self.refuse(op, Refusal::answered(status, error), now);
            return;
        }
        let names = if op.is_index() && error.names_field() { Names::Field } else { Names::Nothing };
        let bounds = Bounds { after: self.settings.brake_after, after_field: self.settings.brake_after_field };
        let ruling = self.learned.lock().streaks.refused(&op.concrete, (op.document, names), bounds, now);
        let refusal = Refusal::answered(status, error);
        match ruling {
            Ruling::Refuse => self.refuse(op, refusal, now),
            Ruling::Hold => {
                let cause = Cause::Index(Arc::clone(&op.concrete));
                self.held.hold(cause, Held { op, refusal, fault: LoneFault::Document }, now);
            }
            Ruling::Brake => self.brake(op, error, now),
        }
    }

    /// The index takes no documents, as far as can be seen: what it refused goes back, and it pauses.
    fn brake(&mut self, op: Op, error: &Scrubbed, now: Instant) {
        let (index, concrete) = (op.operation.address.index.clone(), Arc::clone(&op.concrete));
        let held = self.held.release(&Cause::Index(Arc::clone(&concrete)));
        let ops = held.into_iter().map(|held| held.op).chain([op]).collect();
        let refused = self.learned.lock().streaks.len(&concrete);
        self.back_under_brake(ops, &index, format!("{refused} documents in a row; the last: {error}"), now);
    }

    /// A probe of a braked index was in vain.
    pub(super) fn probe_again(&mut self, ops: Vec<Op>, index: &IndexName, error: &Scrubbed, now: Instant) {
        self.back_under_brake(ops, index, error.to_string(), now);
    }

    fn back_under_brake(&mut self, mut ops: Vec<Op>, index: &IndexName, detail: String, now: Instant) {
        for op in &mut ops {
            op.suspicion.braked = true;
            op.probes = op.probes.saturating_add(1);
        }
        self.put_back(ops, When::Behind, now);
        self.close_braked(index, Some(detail), now);
    }

    /// An operation comes in for an index that an earlier writer left braked.
    pub(super) fn begin_braked(&mut self, op: &Op, now: Instant) {
        let index = &op.operation.address.index;
        if !self.learned.lock().streaks.is_braked(&op.concrete) || !self.queue.gate(index).is_open() {
            return;
        }
        let refused = self.learned.lock().streaks.len(&op.concrete);
        let detail = (refused > 0).then(|| format!("{refused} documents in a row"));
        self.close_braked(&index.clone(), detail, now);
    }

    fn close_braked(&mut self, index: &IndexName, detail: Option<String>, now: Instant) {
        let gate = self.queue.gate(index);
        let change = self.gates.brake_index(gate, index.clone(), detail, now);
        self.report_pause(&Scope::Index(index.clone()), change);
    }

    /// An index accepted an index operation: what it refused before was its documents' fault.
    pub(super) fn index_accepts(&mut self, concrete: &Arc<str>, now: Instant) {
        let released = self.learned.lock().streaks.accepted(concrete);
        if released != Released::Nothing {
            let held = self.held.release(&Cause::Index(Arc::clone(concrete)));
            held.into_iter().for_each(|held| self.refuse(held.op, held.refusal, now));
        }
    }

    // --- requests refused whole ---

    /// A request with this operation alone was refused.
    pub(super) fn refused_alone(&mut self, sent: &Sent, mut op: Op, refused: &Refused, now: Instant) {
        let (fault, refusal) = match refused {
            Refused::TooLarge => (LoneFault::Size(op.bytes), Refusal::too_large(op.bytes)),
            Refused::Malformed { status, error } => (LoneFault::Document, Refusal::answered(*status, error)),
            Refused::Forbidden { status, .. } => (LoneFault::Document, Refusal::by_proxy(*status)),
        };
        if let LoneFault::Size(bytes) = fault {
            self.learned.lock().refusals.too_large_alone(bytes);
        }
        if self.learned.lock().refusals.needs_probe(fault) {
            self.probe.get_or_insert(BulkProbe::Wanted(Arc::clone(&op.concrete)));
        }
        let blame = self.learned.lock().refusals.refused_alone();
        if blame == Blame::Unknown {
            self.held.hold(Cause::Request, Held { op, refusal, fault }, now);
            return;
        }
        op.probes = op.probes.saturating_add(1);
        let held = self.held.release(&Cause::Request);
        let ops: Vec<Op> = held.into_iter().map(|held| held.op).chain([op]).collect();
        self.put_back(ops, When::Behind, now);
        self.fail(all_requests_refused(refused), sent, now);
    }

    /// A request of this many bytes was accepted: what was refused alone before was refused for its own sake, unless it
    /// was for a size that is taken now.
    pub(super) fn requests_are_accepted(&mut self, bytes: usize, now: Instant) {
        self.accepted_after_a_refusal(bytes, |size| bytes < size, now);
    }

    /// Decides what was refused alone; what was too large is decided where `is_proven` says so of its size, else sent again.
    fn accepted_after_a_refusal(&mut self, bytes: usize, is_proven: impl Fn(usize) -> bool, now: Instant) {
        self.learned.lock().refusals.request_accepted(bytes);
        let mut again = Vec::new();
        for held in self.held.release(&Cause::Request) {
            match held.fault {
                LoneFault::Size(size) if !is_proven(size) => again.push(held.op),
                LoneFault::Size(_) | LoneFault::Document => self.refuse(held.op, held.refusal, now),
            }
        }
        self.put_back_later(again, now);
    }

    /// The index to name in a probe of `_bulk`, where one is to be sent now.
    pub(in crate::writer) fn next_probe_of_bulk(&mut self) -> Option<Arc<str>> {
        let Some(BulkProbe::Wanted(concrete)) = &self.probe else { return None };
        let concrete = Arc::clone(concrete);
        self.probe = Some(BulkProbe::UnderWay(self.gates.epochs()));
        Some(concrete)
    }

    /// The probe of `_bulk` ended; its size in bytes where it was accepted.
    pub(in crate::writer) fn probed_bulk(&mut self, accepted: Option<usize>, now: Instant) {
        let probe = self.probe.take();
        let (Some(bytes), Some(BulkProbe::UnderWay(epochs))) = (accepted, probe) else { return };
        // One 413 can be a mistake; a second one, now that a smaller request was accepted, is an answer.
        self.accepted_after_a_refusal(bytes, |_| false, now);
        for ended in self.gates.succeed(epochs) {
            report_end(&ended, now);
        }
    }

    // --- nothing else to send ---

    /// Decides what is held while nothing else waits that could show its cause.
    pub(super) fn resolve_quiet(&mut self, now: Instant) {
        if self.held.is_empty() {
            return;
        }
        for op in self.held.take_abandoned() {
            self.decide(op, Decision::cancelled(), now);
        }
        let queue = &self.queue;
        let quiet = self.held.quiet(now, |cause, indices| match cause {
            Cause::Index(_) => indices.iter().any(|index| queue.is_busy(index)),
            Cause::Request => queue.is_all_busy(),
        });
        for (cause, quiet_for) in quiet {
            self.resolve(&cause, quiet_for, now);
        }
    }

    fn resolve(&mut self, cause: &Cause, quiet_for: Duration, now: Instant) {
        for held in self.held.release(cause) {
            match self.resolved(cause, held.fault, quiet_for, now) {
                Resolved::Wait => self.held.put_back(cause, held, now - quiet_for),
                Resolved::Refuse => self.refuse(held.op, held.refusal, now),
                Resolved::SendAgain => self.put_back_later(vec![held.op], now),
                Resolved::GiveBack => {
                    let fault = Fault::Undecided {
                        index: held.op.operation.address.index.clone(),
                        refused: self.learned.lock().streaks.len(&held.op.concrete).max(1),
                        error: format!("{}: {}", held.refusal.error_type, held.refusal.message),
                    };
                    self.decide(held.op, Decision::Stopped(Arc::new(fault)), now);
                }
            }
        }
    }

    fn resolved(&self, cause: &Cause, fault: LoneFault, quiet_for: Duration, now: Instant) -> Resolved {
        let learned = self.learned.lock();
        let (proven, lasts) = match cause {
            Cause::Index(concrete) => (learned.streaks.was_accepted(concrete), learned.streaks.lasts(concrete, now)),
            Cause::Request if self.probe.is_some() => return Resolved::Wait,
            Cause::Request => (learned.refusals.accepted_before(fault), Duration::ZERO),
        };
        let is_request = *cause == Cause::Request;
        match self.settings.short_streak {
            ShortStreak::GiveBack { .. } if proven => Resolved::Refuse,
            ShortStreak::GiveBack { unproven } if lasts >= unproven => Resolved::Refuse,
            ShortStreak::GiveBack { .. } => Resolved::GiveBack,
            ShortStreak::Refuse { proven: wait, .. } if proven && quiet_for >= wait => Resolved::Refuse,
            // Nothing has shown that it is at fault itself, and a probe was in vain too.
            ShortStreak::Refuse { unproven, .. } if is_request && !proven && quiet_for >= unproven => {
                Resolved::SendAgain
            }
            ShortStreak::Refuse { unproven, .. } if !is_request && quiet_for >= unproven => Resolved::Refuse,
            ShortStreak::Refuse { .. } => Resolved::Wait,
        }
    }
}
