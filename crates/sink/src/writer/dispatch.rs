//! The dispatcher: takes operations in, decides when which request is sent, and waits for the answers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use streamdex_config::Compression;
use streamdex_mapping::IndexName;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::decision::{Decision, Fault};
use super::gate::Gate;
use super::queue::{Queue, Room, Taken};
use super::request::{BulkTransport, Finished, Sent, exchange};
use super::stats::Counters;
use super::submission::{Op, Suspicion};
use super::{Patience, WriterSettings};
use crate::client::BodyEncoding;
use crate::limit::{ByteCap, Concurrency};
use crate::pause::{Pause, Pauses};
use crate::retry::{Jitter, RetrySchedule};

pub(super) struct Dispatcher {
    transport: Arc<dyn BulkTransport>,
    pub(super) settings: WriterSettings,
    inbox: mpsc::Receiver<Vec<Op>>,
    publish: watch::Sender<Vec<Pause>>,
    pub(super) counters: Arc<Counters>,
    pub(super) queue: Queue,
    requests: JoinSet<Finished>,
    /// A request was answered and its place has not been taken yet.
    slot_freed: bool,
    pub(super) concurrency: Concurrency,
    pub(super) cap: ByteCap,
    pub(super) compression: Compression,
    pub(super) cluster: Gate,
    pub(super) credentials: Gate,
    pub(super) pauses: Pauses,
    pub(super) schedule: RetrySchedule,
    pub(super) jitter: Jitter,
    /// Documents from reads that were part of a request refused whole, for when they come back.
    pub(super) suspects: HashMap<u64, Suspicion>,
    /// Operations refused alone by requests refused whole, since a request was last accepted.
    pub(super) lone_refusals: u32,
    /// Refusals that concern all documents of an index, each reported once.
    pub(super) alerted: HashSet<(IndexName, String)>,
    /// When an operation was last decided, or the writer last began to have work.
    progress_at: Instant,
    ever_decided: bool,
    /// Something went wrong since then.
    pub(super) troubled: bool,
    stopped: Option<Arc<Fault>>,
}

/// Whether the gates of cluster and credentials let requests through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Hold,
    Probe,
    Flow,
}

/// When an operation is sent again.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// As soon as the gates allow.
    Now,
    /// Not before.
    At(Instant),
}

/// Suspects whose callers never bring them back must not add up.
const MOST_SUSPECTS: usize = 10_000;

impl Dispatcher {
    pub(super) fn new(
        transport: Arc<dyn BulkTransport>,
        settings: WriterSettings,
        inbox: mpsc::Receiver<Vec<Op>>,
        publish: watch::Sender<Vec<Pause>>,
        counters: Arc<Counters>,
    ) -> Dispatcher {
        Dispatcher {
            transport,
            inbox,
            publish,
            counters,
            queue: Queue::default(),
            requests: JoinSet::new(),
            slot_freed: false,
            concurrency: Concurrency::new(settings.max_concurrent_requests),
            cap: ByteCap::new(settings.max_batch_bytes),
            compression: settings.compression,
            cluster: Gate::default(),
            credentials: Gate::default(),
            pauses: Pauses::default(),
            schedule: RetrySchedule::new(settings.first_retry, settings.longest_retry),
            jitter: settings.seed.map_or_else(Jitter::default, Jitter::with_seed),
            suspects: HashMap::new(),
            lone_refusals: 0,
            alerted: HashSet::new(),
            progress_at: Instant::now(),
            ever_decided: false,
            troubled: false,
            stopped: None,
            settings,
        }
    }

    /// Runs until it is cancelled, or until all handles are gone and all is decided.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut open = true;
        let mut abort_at = None;
        loop {
            let now = Instant::now();
            self.send_ready(now);
            self.remind(now);
            self.show();
            if self.requests.is_empty() && (!open && self.queue.len() == 0 || self.stopped.is_some()) {
                return;
            }
            let wake = if self.stopped.is_some() { abort_at } else { self.next_wake(now) };
            tokio::select! {
                biased;
                Some(joined) = self.requests.join_next(), if !self.requests.is_empty() => self.joined(joined),
                () = cancel.cancelled(), if self.stopped.is_none() => {
                    self.stop(Fault::Cancelled);
                    abort_at = Some(Instant::now() + self.settings.stop_grace);
                }
                arrived = self.inbox.recv(), if open => match arrived {
                    Some(ops) => self.accept(ops),
                    None => open = false,
                },
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {
                    if self.stopped.is_some() {
                        // Dropping their operations decides them.
                        self.requests.abort_all();
                        abort_at = None;
                    }
                }
            }
        }
    }

    // --- in ---

    fn accept(&mut self, ops: Vec<Op>) {
        if self.queue.len() == 0 && self.requests.is_empty() {
            self.progress_at = Instant::now();
            self.troubled = false;
        }
        for mut op in ops {
            if let Some(fault) = &self.stopped {
                op.ticket.decide(Decision::Stopped(Arc::clone(fault)));
                continue;
            }
            if op.is_read()
                && let Some(suspicion) = self.suspects.remove(&op.document)
            {
                op.suspicion = suspicion;
            }
            self.queue.push(op);
        }
    }

    // --- out ---

    fn send_ready(&mut self, now: Instant) {
        if self.stopped.is_some() {
            return;
        }
        self.queue.wake(now);
        self.give_up_when_due(now);
        while self.requests.len() < self.concurrency.limit() {
            let pace = self.pace(now);
            let next = match pace {
                Pace::Hold => None,
                Pace::Probe => self.take_one(now),
                Pace::Flow => self.take_batch(now),
            };
            let Some((mut taken, probes)) = next.filter(|(taken, _)| taken.len() > 0) else { return };
            for op in taken.stale.drain(..) {
                self.decide(op, Decision::ReadAgain);
            }
            for op in taken.abandoned.drain(..) {
                self.decide(op, Decision::cancelled());
            }
            if !taken.send.is_empty() {
                self.launch(taken, probes, pace);
            }
        }
    }

    fn pace(&self, now: Instant) -> Pace {
        let gates = [&self.cluster, &self.credentials];
        if gates.iter().all(|gate| gate.is_open()) {
            Pace::Flow
        } else if gates.iter().all(|gate| gate.is_open() || gate.may_probe(now)) {
            Pace::Probe
        } else {
            Pace::Hold
        }
    }

    fn room(&self) -> Room {
        Room {
            operations: self.settings.max_batch_operations,
            bytes: self.cap.get(),
            oldest_read: self.settings.oldest_read,
        }
    }

    /// One operation, to see whether the cluster takes any.
    fn take_one(&mut self, now: Instant) -> Option<(Taken, Option<IndexName>)> {
        let room = Room { operations: 1, ..self.room() };
        let taken = self.queue.take(room, now);
        if taken.len() > 0 {
            return Some((taken, None));
        }
        self.queue.take_probe(room, now).map(|(index, taken)| (taken, Some(index)))
    }

    fn take_batch(&mut self, now: Instant) -> Option<(Taken, Option<IndexName>)> {
        if let Some((index, taken)) = self.queue.take_probe(self.room(), now) {
            return Some((taken, Some(index)));
        }
        let ready = self.queue.ready();
        let full = ready.operations >= self.settings.max_batch_operations || ready.bytes >= self.cap.get();
        let waited = ready.oldest.is_some_and(|oldest| oldest + self.settings.linger <= now);
        if ready.operations > 0 && (full || waited || self.slot_freed || self.requests.is_empty()) {
            return Some((self.queue.take(self.room(), now), None));
        }
        None
    }

    fn launch(&mut self, taken: Taken, probes: Option<IndexName>, pace: Pace) {
        if pace == Pace::Probe {
            if !self.credentials.is_open() {
                self.transport.refresh_credentials();
            }
            self.cluster.probe();
            self.credentials.probe();
        }
        let compressed = self.compression == Compression::Gzip && !taken.is_suspicious();
        let sent = Sent {
            encoding: if compressed { BodyEncoding::Gzip } else { BodyEncoding::Identity },
            bytes: taken.bytes,
            ops: taken.send,
            round: self.concurrency.round(),
            cluster_epoch: self.cluster.epoch(),
            credentials_epoch: self.credentials.epoch(),
            probes,
            probes_all: pace == Pace::Probe,
            at_limit: self.requests.len() + 1 >= self.concurrency.limit(),
        };
        self.slot_freed = false;
        self.requests.spawn(exchange(Arc::clone(&self.transport), sent));
    }

    fn joined(&mut self, joined: Result<Finished, JoinError>) {
        self.slot_freed = true;
        match joined {
            Ok(finished) => {
                self.counters.note_request(finished.sent.bytes, finished.took);
                self.settle(finished, Instant::now());
            }
            // Aborted after cancellation; dropping the operations decided them.
            Err(error) if error.is_cancelled() => {}
            Err(_) => {
                tracing::error!("a request of the bulk writer panicked; the writer stops");
                self.stop(Fault::Broken);
            }
        }
    }

    // --- decisions ---

    pub(super) fn note_progress(&mut self) {
        self.progress_at = Instant::now();
    }

    pub(super) fn decide(&mut self, op: Op, decision: Decision) {
        if matches!(decision, Decision::Done(_) | Decision::Refused(_)) {
            self.note_progress();
            self.ever_decided = true;
            self.troubled = false;
            Counters::add(&self.counters.decided, 1);
        }
        let Op { ticket, document, .. } = op;
        ticket.decide(decision);
        self.queue.release(document);
    }

    /// Sends operations again, or gives them back to be read again, or stops them where the writer has stopped.
    pub(super) fn again(&mut self, ops: Vec<Op>, when: When) {
        Counters::add(&self.counters.retried, ops.len());
        self.troubled = true;
        let mut images = Vec::with_capacity(ops.len());
        for op in ops {
            if let Some(fault) = self.stopped.clone() {
                self.decide(op, Decision::Stopped(fault));
            } else if op.is_read() {
                self.remember_suspicion(&op);
                self.decide(op, Decision::ReadAgain);
            } else {
                images.push(op);
            }
        }
        match when {
            When::Now => self.queue.put_back(images),
            When::At(until) => self.queue.delay(images, until),
        }
    }

    fn remember_suspicion(&mut self, op: &Op) {
        if op.suspicion == Suspicion::NONE {
            return;
        }
        if self.suspects.len() >= MOST_SUSPECTS {
            self.suspects.clear();
        }
        self.suspects.insert(op.document, op.suspicion);
    }

    /// Stops everything that is not in flight.
    fn stop(&mut self, fault: Fault) {
        let fault = Arc::new(fault);
        self.stopped = Some(Arc::clone(&fault));
        self.stop_waiting(&fault);
    }

    fn stop_waiting(&mut self, fault: &Arc<Fault>) {
        for op in self.queue.drain() {
            op.ticket.decide(Decision::Stopped(Arc::clone(fault)));
        }
    }

    fn give_up_at(&self) -> Option<Instant> {
        let Patience::OneShot { at_start, later } = self.settings.patience else { return None };
        let allowed = if self.ever_decided { later } else { at_start };
        (self.troubled && self.queue.len() > 0).then(|| self.progress_at + allowed)
    }

    fn give_up_when_due(&mut self, now: Instant) {
        if self.give_up_at().is_some_and(|at| at <= now) {
            let fault = match self.pauses.snapshot().into_iter().next() {
                Some(pause) => Fault::Paused(pause),
                None => Fault::NoProgress {
                    after: now.duration_since(self.progress_at),
                    last_error: self.counters.last_error(),
                },
            };
            self.give_up(fault);
        }
    }

    /// A one-shot command stops trying; what comes in later is tried anew.
    pub(super) fn give_up(&mut self, fault: Fault) {
        self.stop_waiting(&Arc::new(fault));
        self.troubled = false;
    }

    // --- time and state ---

    /// When there may be something to do without anything coming in. A time that has passed is never named
    /// unless it was acted on, or this task would spin.
    fn next_wake(&self, now: Instant) -> Option<Instant> {
        let mut times = vec![self.queue.next_delayed(), self.pauses.next_reminder(), self.give_up_at()];
        if self.queue.len() > 0 && self.requests.len() < self.concurrency.limit() {
            match self.pace(now) {
                // While a probe is under way, its answer is what is waited for.
                Pace::Hold if self.cluster.is_probing() || self.credentials.is_probing() => {}
                Pace::Hold => times.push(self.cluster.probe_at().max(self.credentials.probe_at())),
                Pace::Probe => times.push(self.queue.next_probe()),
                Pace::Flow => {
                    times.push(self.queue.next_probe());
                    times.push(self.queue.ready().oldest.map(|oldest| oldest + self.settings.linger));
                }
            }
        }
        times.into_iter().flatten().min()
    }

    fn remind(&mut self, now: Instant) {
        for pause in self.pauses.due(now) {
            let minutes = now.duration_since(pause.since).as_secs() / 60;
            tracing::warn!(scope = %pause.scope, reason = pause.reason.name(), detail = pause.detail, minutes, hint = pause.hint(), "still paused");
        }
    }

    /// Publishes counters and pauses.
    fn show(&self) {
        Counters::set(&self.counters.in_flight, self.requests.len());
        Counters::set(&self.counters.limit, self.concurrency.limit());
        Counters::set(&self.counters.byte_cap, self.cap.get());
        Counters::set(&self.counters.waiting, self.queue.len());
        self.publish.send_if_modified(|shown| {
            if self.pauses.is_shown(shown) {
                return false;
            }
            *shown = self.pauses.snapshot();
            true
        });
    }
}
