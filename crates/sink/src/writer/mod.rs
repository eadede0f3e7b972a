//! Writes operations to OpenSearch, and decides each one exactly once.
//!
//! ```text
//! write() ─▶ checks, sizes ─▶ queue: a lane per index ─▶ requests in flight ─▶ settle ─▶ Decision
//!                               ▲                                               │
//!                               └─────── operations that are sent again ◀───────┘
//! ```
//! One task, `dispatch`, does the I/O and drives `scheduler`, which does none: it picks the next request and applies
//! the `verdict`s on an answer to its state machines, each in a file: `queue`, `gates`, `progress`, and
//! in `learned` the `limits` and `refusals`, which can outlive a writer. One task owns them all, so nothing is locked.
//! Undecided operations (throttled, unreachable, blocked) stay in the queue without bound of time; memory is bounded
//! by bytes.

mod answer;
mod decision;
mod dispatch;
mod gate;
mod gates;
mod learned;
mod limits;
mod op;
mod permit;
mod progress;
mod queue;
mod refusals;
mod request;
mod scheduler;
mod settings;
#[cfg(test)]
mod simulation;
mod stats;
mod submission;
mod suspicion;
mod verdict;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use streamdex_mapping::{IndexName, Operation};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use decision::{Decision, Fault, Refusal};
pub use permit::Permit;
pub use request::BulkTransport;
pub use settings::{Patience, WriterSettings};
pub use stats::{LATENCY_BOUNDS, WriterStats};

use crate::client::Client;
use crate::encode::{check, encoded_len};
use crate::pause::Pause;
use dispatch::Dispatcher;
use op::Op;
use scheduler::Scheduler;
use stats::Counters;
use submission::{Submission, Ticket, Waiting};
use suspicion::Suspicion;

/// The index behind a logical name.
pub trait Targets: Send + Sync + 'static {
    /// The index to write to, as `sessions-000001`; `None` where it has not been set up.
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>>;
}

/// A handle to a writer; clones share it.
#[derive(Debug, Clone)]
pub struct BulkWriter(Arc<Shared>);

struct Shared {
    targets: Arc<dyn Targets>,
    inbox: mpsc::Sender<Vec<Op>>,
    memory: Arc<Semaphore>,
    /// In [`UNIT`]s.
    capacity: u32,
    /// Of the hashes that documents are known by; a secret, so that nobody can make them collide.
    seed: u64,
    cancel: CancellationToken,
    tasks: TaskTracker,
    pauses: watch::Receiver<Vec<Pause>>,
    counters: Arc<Counters>,
}

/// The bytes of one permit of the memory's semaphore, so that all of them fit into 32 bits.
const UNIT: usize = 1024;
/// Calls of `write` that may wait at the dispatcher's door.
const INBOX: usize = 64;

// === impl BulkWriter ===

impl BulkWriter {
    /// Starts a writer. It ends when it is cancelled or all handles are dropped.
    pub fn start(
        client: Client,
        targets: Arc<dyn Targets>,
        settings: WriterSettings,
        cancel: CancellationToken,
    ) -> BulkWriter {
        BulkWriter::start_on(Arc::new(client), targets, settings, cancel)
    }

    /// As [`BulkWriter::start`], over any transport.
    pub fn start_on(
        transport: Arc<dyn BulkTransport>,
        targets: Arc<dyn Targets>,
        settings: WriterSettings,
        cancel: CancellationToken,
    ) -> BulkWriter {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (publish, pauses) = watch::channel(Vec::new());
        let counters = Arc::new(Counters::default());
        let capacity = u32::try_from(settings.memory.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let memory = usize::try_from(capacity).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let seed = settings.seed.unwrap_or_else(|| fastrand::u64(..));
        let tasks = TaskTracker::new();
        let scheduler = Scheduler::new(settings, Arc::clone(&counters), Instant::now());
        let dispatcher = Dispatcher::new(transport, inbox, publish, scheduler);
        // Its log lines belong to whoever started the writer: an invocation, say.
        tasks.spawn(dispatcher.run(cancel.clone()).in_current_span());
        tasks.close();
        BulkWriter(Arc::new(Shared {
            targets,
            inbox: sender,
            memory: Arc::new(Semaphore::new(memory)),
            capacity,
            seed,
            cancel,
            tasks,
            pauses,
            counters,
        }))
    }

    /// Writes operations and waits until each is decided. The decisions are in the order of the operations.
    ///
    /// Operations on one document are sent one after the other, in the order in which they come in. Where the
    /// future is dropped, what was not sent yet is not sent any more; what is in flight stays accounted for.
    pub async fn write(&self, operations: Vec<Operation>) -> Vec<Decision> {
        self.write_with(operations, None).await
    }

    /// As [`BulkWriter::write`], while `permit` is granted.
    pub async fn write_under(&self, operations: Vec<Operation>, permit: Arc<dyn Permit>) -> Vec<Decision> {
        self.write_with(operations, Some(permit)).await
    }

    async fn write_with(&self, operations: Vec<Operation>, permit: Option<Arc<dyn Permit>>) -> Vec<Decision> {
        if operations.is_empty() {
            return Vec::new();
        }
        let taken_at = Instant::now();
        let (submission, receiver) = Submission::new(operations.len(), permit);
        let waiting = Waiting(Arc::clone(&submission));
        let mut bytes = 0;
        let mut ops = Vec::with_capacity(operations.len());
        for (position, operation) in operations.into_iter().enumerate() {
            if let Some(op) = self.prepare(operation, submission.ticket(position), taken_at) {
                bytes += op.bytes;
                ops.push(op);
            }
        }
        if !ops.is_empty() {
            self.hand_in(ops, bytes, &submission).await;
        }
        let decisions = receiver.await.unwrap_or_default();
        drop(waiting);
        decisions
    }

    /// What is held back now, the oldest first.
    pub fn pauses(&self) -> Vec<Pause> {
        self.0.pauses.borrow().clone()
    }

    /// Wakes whenever [`BulkWriter::pauses`] changes.
    pub fn watch_pauses(&self) -> watch::Receiver<Vec<Pause>> {
        self.0.pauses.clone()
    }

    /// The counters.
    pub fn stats(&self) -> WriterStats {
        self.0.counters.snapshot()
    }

    /// Waits until the writer has ended, after it was cancelled.
    pub async fn ended(&self) {
        self.0.tasks.wait().await;
    }

    /// Checks and measures an operation; decides at once what is not to be sent.
    fn prepare(&self, operation: Operation, ticket: Ticket, taken_at: Instant) -> Option<Op> {
        let address = &operation.address;
        let Some(concrete) = self.0.targets.concrete(&address.index) else {
            ticket.decide(Decision::Stopped(Arc::new(Fault::NotSetUp(address.index.clone()))));
            return None;
        };
        let bytes = encoded_len(&concrete, &operation);
        if let Err(problem) = check(&operation, bytes) {
            ticket.decide(Decision::Refused(Refusal::from(&problem)));
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (self.0.seed, &address.index, &address.id).hash(&mut hasher);
        let document = hasher.finish();
        Some(Op {
            operation,
            concrete,
            bytes,
            document,
            taken_at,
            attempts: 0,
            suspicion: Suspicion::NONE,
            epoch: 0,
            ticket,
        })
    }

    /// Waits for room in memory and hands the operations to the dispatcher. Where it has ended, dropping them
    /// decides them.
    async fn hand_in(&self, ops: Vec<Op>, bytes: usize, submission: &Submission) {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.0.capacity);
        let room = tokio::select! {
            biased;
            () = self.0.cancel.cancelled() => return,
            room = Arc::clone(&self.0.memory).acquire_many_owned(units) => room,
        };
        let Ok(room) = room else { return };
        submission.keep(room);
        // An error gives the operations back, and dropping them decides them.
        let _ = self.0.inbox.send(ops).await;
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BulkWriter").field("counters", &self.counters).finish_non_exhaustive()
    }
}
