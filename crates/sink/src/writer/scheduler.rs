//! The scheduler: picks the next request and its time. It is the state of a writer, without any I/O.
//!
//! `settle` applies answers; `doubt` handles refusals that may not be their documents' fault; `isolate` keeps one index
//! from stalling the others.

mod doubt;
mod isolate;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use streamdex_mapping::Outcome;
use tokio::time::{Duration, Instant};

use super::decision::{Decision, Fault};
use super::echo::Echoes;
use super::gates::{Gates, Pace};
use super::held::HeldBack;
use super::lane::{Room, Taken};
use super::learned::Learned;
use super::op::{Op, Purpose, Tried};
use super::probe::BulkProbe;
use super::progress::Progress;
use super::queue::{Company, Queue};
use super::request::{Place, Sent};
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
    /// Refused operations of which it is not known yet whose fault it is.
    held: HeldBack,
    /// Deletes that are sent a second time.
    echoes: Echoes,
    /// Asks whether requests are accepted at all.
    probe: Option<BulkProbe>,
    /// Documents from reads that went back to be read again, for when they come back.
    tried: HashMap<u64, Tried>,
    /// Requests in flight that are kept apart.
    apart: usize,
    /// When OpenSearch last answered.
    answered_at: Option<Instant>,
    /// A request was answered and its place has not been taken yet.
    slot_freed: bool,
    stopped: Option<Arc<Fault>>,
}

/// Documents whose callers never bring them back must not add up.
const MOST_TRIED: usize = 10_000;
/// How often it is looked whether operations that are held can be decided.
const LOOK_AT_HELD: Duration = Duration::from_secs(1);

/// When an operation is sent again.
#[derive(Debug, Clone, Copy)]
enum When {
    /// As soon as the gates allow.
    Now,
    /// As `Now`, but behind all others of its index: it was a probe in vain.
    Behind,
    /// Not before.
    At(Instant),
}

impl Scheduler {
    pub(super) fn new(settings: WriterSettings, learned: Learned, counters: Arc<Counters>, now: Instant) -> Scheduler {
        let schedule = RetrySchedule::new(settings.first_retry, settings.longest_retry);
        let jitter = settings.seed.map_or_else(Jitter::default, Jitter::with_seed);
        Scheduler {
            counters,
            queue: Queue::default(),
            gates: Gates::default(),
            delays: Delays::new(schedule, jitter),
            learned,
            progress: Progress::new(settings.patience, now),
            held: HeldBack::default(),
            echoes: Echoes::default(),
            probe: None,
            tried: HashMap::new(),
            apart: 0,
            answered_at: None,
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
                && let Some(suspicion) = self.learned.lock().refusals.recall(op.document)
            {
                op.suspicion = suspicion;
            }
            if op.is_read()
                && let Some(tried) = self.tried.remove(&op.document)
            {
                tried.mark(&mut op);
            }
            self.echoes.newer(op.document);
            self.begin_braked(&op, now);
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
        for op in self.echoes.due(now) {
            self.queue.push(op);
        }
        self.resolve_quiet(now);
        for pause in self.gates.forget_missing(now) {
            tracing::info!(scope = %pause.scope, "there were no recent writes to the missing index");
        }
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
        while self.stopped.is_none() {
            let pace = self.gates.pace(now);
            let mut taken = match pace {
                Pace::Hold => return None,
                Pace::Probe if self.has_place(in_flight) => self.queue.take_one(self.room(), now),
                Pace::Probe => return None,
                Pace::Flow => self.take(in_flight, now),
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
                return Some(self.request(taken, pace, in_flight, now));
            }
        }
        None
    }

    /// A request of one index that is kept apart, else a batch.
    fn take(&mut self, in_flight: usize, now: Instant) -> Taken {
        if self.has_place_apart(in_flight) {
            let taken = self.queue.take_apart(self.room(), now);
            if !taken.is_empty() {
                return taken;
            }
        }
        if !self.has_place(in_flight) {
            return Taken::default();
        }
        self.queue.take_batch(self.room(), self.company(in_flight), now)
    }

    /// Whether one more request may be sent. Those that are kept apart do not count: they may wait long for shards
    /// that are not available.
    fn has_place(&self, in_flight: usize) -> bool {
        let shared = in_flight.saturating_sub(self.apart);
        in_flight < self.settings.max_concurrent_requests && shared < self.learned.lock().limits.requests()
    }

    /// Whether one more request may be sent that is kept apart. One place is left to the others, where there is more
    /// than one.
    fn has_place_apart(&self, in_flight: usize) -> bool {
        let most = self.settings.max_concurrent_requests;
        in_flight < most && self.apart < most.saturating_sub(1).max(1)
    }

    fn room(&self) -> Room {
        Room {
            operations: self.settings.max_batch_operations,
            bytes: self.learned.lock().limits.bytes(),
            oldest_read: self.settings.oldest_read,
        }
    }

    fn company(&self, in_flight: usize) -> Company {
        if self.slot_freed || in_flight == 0 { Company::None } else { Company::UpTo(self.settings.linger) }
    }

    fn request(&mut self, taken: Taken, pace: Pace, in_flight: usize, now: Instant) -> Sent {
        let probes_all = pace == Pace::Probe;
        let refreshes_credentials = probes_all && self.gates.needs_credentials();
        if probes_all {
            self.gates.probe();
        }
        let place = if taken.apart.is_some() && !probes_all { Place::Apart } else { Place::Shared };
        let shared = in_flight.saturating_sub(self.apart);
        self.apart += usize::from(place == Place::Apart);
        let learned = self.learned.lock();
        let limits = &learned.limits;
        let encoding = if taken.is_suspicious() { BodyEncoding::Identity } else { limits.encoding(now) };
        self.slot_freed = false;
        Sent {
            encoding,
            bytes: taken.bytes,
            ops: taken.send,
            round: limits.round(),
            epochs: self.gates.epochs(),
            at: now,
            place,
            probes: taken.probes,
            probes_all,
            refreshes_credentials,
            at_limit: place == Place::Shared && shared + 1 >= limits.requests(),
        }
    }

    /// A request ended, however it ended.
    pub(super) fn free_slot(&mut self) {
        self.slot_freed = true;
    }

    // --- decisions ---

    fn decide(&mut self, op: Op, decision: Decision, now: Instant) {
        let done = matches!(decision, Decision::Done(Outcome::Applied | Outcome::Absent));
        if done && !self.queue.has_newer(op.document) {
            let doubted = self.learned.lock().doubted_until.is_some_and(|until| now < until);
            self.echoes.carried_out(&op, doubted, now);
        }
        if op.purpose == Purpose::Decision && matches!(decision, Decision::Done(_) | Decision::Refused(_)) {
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
                self.learned.lock().refusals.remember(op.document, op.suspicion);
                self.remember_tried(&op);
                self.decide(op, Decision::ReadAgain, now);
            } else {
                images.push(op);
            }
        }
        match when {
            When::Now => self.queue.put_back(images),
            When::Behind => self.queue.put_behind(images),
            When::At(until) => self.queue.delay(images, until),
        }
    }

    fn remember_tried(&mut self, op: &Op) {
        let Some(tried) = Tried::of(op) else { return };
        if self.tried.len() >= MOST_TRIED {
            self.tried.clear();
        }
        self.tried.insert(op.document, tried);
    }

    /// Stops everything that is not in flight, and what comes in later.
    pub(super) fn stop(&mut self, fault: Fault) {
        let fault = Arc::new(fault);
        self.stopped = Some(Arc::clone(&fault));
        self.stop_waiting(&fault);
    }

    fn stop_waiting(&mut self, fault: &Arc<Fault>) {
        self.echoes.clear();
        for held in self.held.drain() {
            self.queue.release(held.op.document);
            held.op.ticket.decide(Decision::Stopped(Arc::clone(fault)));
        }
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

    /// Whether it stopped because of a defect.
    pub(super) fn is_broken(&self) -> bool {
        self.stopped.as_deref().is_some_and(|fault| matches!(fault, Fault::Broken))
    }

    /// How long requests in flight are waited for after cancellation.
    pub(super) fn stop_grace(&self) -> Duration {
        self.settings.stop_grace
    }

    /// Whether no operation waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.held.is_empty()
    }

    /// When there may be something to do without anything coming in. A time that has passed is never named
    /// unless it was acted on, or the dispatcher would spin.
    pub(super) fn next_wake(&self, in_flight: usize, now: Instant) -> Option<Instant> {
        let give_up_at = self.progress.give_up_at(self.queue.len());
        let mut times = vec![self.queue.next_delayed(), self.gates.pauses().next_reminder(), give_up_at];
        times.push(self.echoes.next());
        times.push((!self.held.is_empty()).then(|| now + LOOK_AT_HELD));
        if self.queue.len() > 0 {
            match self.gates.pace(now) {
                // While a probe is under way, its answer comes first.
                Pace::Hold => times.push(self.gates.probe_at()),
                Pace::Probe if self.has_place(in_flight) => times.push(self.queue.next_probe()),
                Pace::Probe => {}
                Pace::Flow => {
                    let oldest = self.queue.ready().oldest.filter(|_| self.has_place(in_flight));
                    times.push(oldest.map(|oldest| oldest + self.settings.linger));
                    times.push(self.queue.next_probe().filter(|_| self.has_place_apart(in_flight)));
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
        Counters::set(&self.counters.limit, self.learned.lock().limits.requests());
        Counters::set(&self.counters.byte_cap, self.learned.lock().limits.bytes());
        Counters::set(&self.counters.waiting, self.queue.len() + self.held.len());
    }
}
