//! Which request is sent next, and when: the state of a writer, without any I/O.
//!
//! What an answer changes is in `settle`.

mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::decision::{Decision, Fault};
use super::gates::{Gates, Pace};
use super::learned::Learned;
use super::op::Op;
use super::progress::Progress;
use super::queue::{Company, Queue, Room, Taken};
use super::request::Sent;
use super::settings::WriterSettings;
use super::stats::Counters;
use crate::client::BodyEncoding;
use crate::pause::{Pause, Pauses};
use crate::retry::{Delays, Jitter, RetrySchedule};

pub(super) struct Scheduler {
    settings: WriterSettings,
    counters: Arc<Counters>,
    queue: Queue,
    gates: Gates,
    delays: Delays,
    learned: Learned,
    progress: Progress,
    /// A request was answered and its place has not been taken yet.
    slot_freed: bool,
    stopped: Option<Arc<Fault>>,
}

/// When an operation is sent again.
#[derive(Debug, Clone, Copy)]
enum When {
    /// As soon as the gates allow.
    Now,
    /// Not before.
    At(Instant),
}

impl Scheduler {
    pub(super) fn new(settings: WriterSettings, counters: Arc<Counters>, now: Instant) -> Scheduler {
        let schedule = RetrySchedule::new(settings.first_retry, settings.longest_retry);
        let jitter = settings.seed.map_or_else(Jitter::default, Jitter::with_seed);
        Scheduler {
            counters,
            queue: Queue::default(),
            gates: Gates::default(),
            delays: Delays::new(schedule, jitter),
            learned: Learned::new(&settings),
            progress: Progress::new(settings.patience, now),
            slot_freed: false,
            stopped: None,
            settings,
        }
    }

    /// Takes operations in.
    pub(super) fn accept(&mut self, ops: Vec<Op>, in_flight: usize, now: Instant) {
        if self.queue.len() == 0 && in_flight == 0 {
            self.progress.begin(now);
        }
        for mut op in ops {
            if let Some(fault) = &self.stopped {
                op.ticket.decide(Decision::Stopped(Arc::clone(fault)));
                continue;
            }
            if op.is_read()
                && let Some(suspicion) = self.learned.refusals.recall(op.document)
            {
                op.suspicion = suspicion;
            }
            self.queue.push(op);
        }
    }

    // --- the next request ---

    /// Acts on the times that have come: operations are due again, or a one-shot command gives up.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.stopped.is_some() {
            return;
        }
        self.queue.wake(now);
        if self.progress.give_up_at(self.queue.len()).is_some_and(|at| at <= now) {
            let fault = match self.gates.pauses().snapshot().into_iter().next() {
                Some(pause) => Fault::Paused(pause),
                None => Fault::NoProgress { after: self.progress.stalled(now), last_error: self.counters.last_error() },
            };
            self.give_up(fault);
        }
    }

    /// The request that is to be sent now, with so many in flight; `None`: none yet.
    pub(super) fn next_request(&mut self, in_flight: usize, now: Instant) -> Option<Sent> {
        while self.stopped.is_none() && in_flight < self.learned.limits.requests() {
            let pace = self.gates.pace(now);
            let mut taken = match pace {
                Pace::Hold => return None,
                Pace::Probe => self.queue.take_one(self.room(), now),
                Pace::Flow => self.queue.take_batch(self.room(), self.company(in_flight), now),
            };
            if taken.is_empty() {
                return None;
            }
            for op in taken.stale.drain(..) {
                self.decide(op, Decision::ReadAgain, now);
            }
            for op in taken.abandoned.drain(..) {
                self.decide(op, Decision::cancelled(), now);
            }
            if !taken.send.is_empty() {
                return Some(self.request(taken, pace, in_flight));
            }
        }
        None
    }

    fn room(&self) -> Room {
        Room {
            operations: self.settings.max_batch_operations,
            bytes: self.learned.limits.bytes(),
            oldest_read: self.settings.oldest_read,
        }
    }

    fn company(&self, in_flight: usize) -> Company {
        if self.slot_freed || in_flight == 0 { Company::None } else { Company::UpTo(self.settings.linger) }
    }

    fn request(&mut self, taken: Taken, pace: Pace, in_flight: usize) -> Sent {
        let probes_all = pace == Pace::Probe;
        let refreshes_credentials = probes_all && self.gates.needs_credentials();
        if probes_all {
            self.gates.probe();
        }
        let limits = &self.learned.limits;
        let encoding = if taken.is_suspicious() { BodyEncoding::Identity } else { limits.encoding() };
        self.slot_freed = false;
        Sent {
            encoding,
            bytes: taken.bytes,
            ops: taken.send,
            round: limits.round(),
            epochs: self.gates.epochs(),
            probes: taken.probes,
            probes_all,
            refreshes_credentials,
            at_limit: in_flight + 1 >= limits.requests(),
        }
    }

    /// A request ended, however it ended.
    pub(super) fn free_slot(&mut self) {
        self.slot_freed = true;
    }

    // --- decisions ---

    fn decide(&mut self, op: Op, decision: Decision, now: Instant) {
        if matches!(decision, Decision::Done(_) | Decision::Refused(_)) {
            self.progress.decided(now);
            Counters::add(&self.counters.decided, 1);
        }
        let Op { ticket, document, .. } = op;
        ticket.decide(decision);
        self.queue.release(document);
    }

    /// Puts operations back to be sent again, or gives them back to be read again, or stops them where the writer
    /// has stopped.
    fn put_back(&mut self, ops: Vec<Op>, when: When, now: Instant) {
        Counters::add(&self.counters.retried, ops.len());
        self.progress.trouble();
        let mut images = Vec::with_capacity(ops.len());
        for op in ops {
            if let Some(fault) = self.stopped.clone() {
                self.decide(op, Decision::Stopped(fault), now);
            } else if op.is_read() {
                self.learned.refusals.remember(op.document, op.suspicion);
                self.decide(op, Decision::ReadAgain, now);
            } else {
                images.push(op);
            }
        }
        match when {
            When::Now => self.queue.put_back(images),
            When::At(until) => self.queue.delay(images, until),
        }
    }

    /// Stops everything that is not in flight, and what comes in later.
    pub(super) fn stop(&mut self, fault: Fault) {
        let fault = Arc::new(fault);
        self.stopped = Some(Arc::clone(&fault));
        self.stop_waiting(&fault);
    }

    fn stop_waiting(&mut self, fault: &Arc<Fault>) {
        for op in self.queue.drain() {
            op.ticket.decide(Decision::Stopped(Arc::clone(fault)));
        }
    }

    /// A one-shot command stops trying; what comes in later is tried again.
    fn give_up(&mut self, fault: Fault) {
        self.stop_waiting(&Arc::new(fault));
        self.progress.gave_up();
    }

    // --- time and state ---

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// How long requests in flight are waited for after cancellation.
    pub(super) fn stop_grace(&self) -> Duration {
        self.settings.stop_grace
    }

    /// Whether no operation waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.len() == 0
    }

    /// When there may be something to do without anything coming in. A time that has passed is never named
    /// unless it was acted on, or the dispatcher would spin.
    pub(super) fn next_wake(&self, in_flight: usize, now: Instant) -> Option<Instant> {
        let give_up_at = self.progress.give_up_at(self.queue.len());
        let mut times = vec![self.queue.next_delayed(), self.gates.pauses().next_reminder(), give_up_at];
        if self.queue.len() > 0 && in_flight < self.learned.limits.requests() {
            match self.gates.pace(now) {
                // While a probe is under way, its answer comes first.
                Pace::Hold => times.push(self.gates.probe_at()),
                Pace::Probe => times.push(self.queue.next_probe()),
                Pace::Flow => {
                    times.push(self.queue.next_probe());
                    times.push(self.queue.ready().oldest.map(|oldest| oldest + self.settings.linger));
                }
            }
        }
        times.into_iter().flatten().min()
    }

    /// The pauses that are due to be reported again.
    pub(super) fn reminders(&mut self, now: Instant) -> Vec<Pause> {
        self.gates.reminders(now)
    }

    pub(super) fn pauses(&self) -> &Pauses {
        self.gates.pauses()
    }

    /// Shows the present state in the counters.
    pub(super) fn show(&self, in_flight: usize) {
        Counters::set(&self.counters.in_flight, in_flight);
        Counters::set(&self.counters.limit, self.learned.limits.requests());
        Counters::set(&self.counters.byte_cap, self.learned.limits.bytes());
        Counters::set(&self.counters.waiting, self.queue.len());
    }
}
