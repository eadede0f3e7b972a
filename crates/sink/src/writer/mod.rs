//! Writes operations to OpenSearch, and decides each one exactly once.
//!
//! ```text
//! write() ─▶ checks, sizes ─▶ queue: a lane per index ─▶ requests in flight ─▶ settle ─▶ Decision
//!                               ▲                                               │
//!                               └──────── what is to be sent again ◀────────────┘
//! ```
//! One task, the dispatcher, owns queue, gates, caps and limits, so that nothing of it is locked. What is not
//! decided (throttled, unreachable, blocked) stays in the queue without bound of time; memory is bounded by bytes.

mod answer;
mod decision;
mod dispatch;
mod gate;
mod permit;
mod queue;
mod request;
mod settle;
#[cfg(test)]
mod simulation;
mod stats;
mod submission;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Compression, OpenSearch};
use streamdex_mapping::{IndexName, Operation};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use decision::{Decision, Fault, Refusal};
pub use permit::Permit;
pub use request::BulkTransport;
pub use stats::{LATENCY_BOUNDS, WriterStats};

use crate::client::Client;
use crate::encode::{LARGEST_BODY, check, encoded_len};
use crate::pause::Pause;
use dispatch::Dispatcher;
use stats::Counters;
use submission::{Op, Submission, Suspicion, Ticket, Waiting};

/// Which index a logical name stands for.
pub trait Targets: Send + Sync + 'static {
    /// The index to write to, as `sessions-000001`; `None` where it has not been set up.
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>>;
}

/// What a writer does about a state that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It pauses until the state ends: `run`.
    Endless,
    /// It stops with an error: one-shot commands.
    OneShot {
        /// After this long without a decision, where there has been none at all.
        at_start: Duration,
        /// After this long without a decision later.
        later: Duration,
    },
}

/// How a writer works.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// Whether bodies are compressed.
    pub compression: Compression,
    /// A request is closed at this size, uncompressed.
    pub max_batch_bytes: usize,
    /// A request is closed at this many operations.
    pub max_batch_operations: usize,
    /// Requests in flight.
    pub max_concurrent_requests: usize,
    /// The client's deadline; an answer that takes a quarter of it is a sign of overload.
    pub request_timeout: Duration,
    /// How long operations wait for company while another request is in flight.
    pub linger: Duration,
    /// Bytes of operations that are held at most; `write` waits beyond it.
    pub memory: usize,
    /// The first interval between attempts.
    pub first_retry: Duration,
    /// The longest interval between attempts.
    pub longest_retry: Duration,
    /// Operations from reads older than this are not sent, but read again.
    pub oldest_read: Duration,
    /// How long requests in flight are waited for after cancellation.
    pub stop_grace: Duration,
    /// What is done about a state that lasts.
    pub patience: Patience,
    /// The seed of jitter and hashes; `None`: a random one.
    pub seed: Option<u64>,
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

/// Permits stand for this many bytes, so that they fit into 32 bits.
const UNIT: usize = 1024;
/// Calls of `write` that may wait at the dispatcher's door.
const INBOX: usize = 64;

// === impl Patience, WriterSettings ===

impl Patience {
    /// Ten seconds at the start, a minute later.
    pub fn one_shot() -> Patience {
        Patience::OneShot { at_start: Duration::from_secs(10), later: Duration::from_secs(60) }
    }
}

impl WriterSettings {
    /// As configured.
    pub fn new(settings: &OpenSearch, patience: Patience) -> WriterSettings {
        WriterSettings {
            compression: settings.compression,
            max_batch_bytes: settings.max_batch_bytes.min(LARGEST_BODY),
            max_batch_operations: settings.max_batch_operations.max(1),
            max_concurrent_requests: settings.max_concurrent_requests.max(1),
            request_timeout: settings.request_timeout,
            linger: Duration::from_millis(100),
            memory: 64 * 1024 * 1024,
            first_retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(30),
            oldest_read: Duration::from_secs(30),
            stop_grace: Duration::from_secs(8),
            patience,
            seed: None,
        }
    }
}

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
        let dispatcher = Dispatcher::new(transport, settings, inbox, publish, Arc::clone(&counters));
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
        self.write_taken(taken_now(operations), None).await
    }

    /// As [`BulkWriter::write`], while `permit` is granted.
    pub async fn write_under(&self, operations: Vec<Operation>, permit: Arc<dyn Permit>) -> Vec<Decision> {
        self.write_taken(taken_now(operations), Some(permit)).await
    }

    /// As [`BulkWriter::write`], of operations each of which is as old as its moment says: an operation from a read is
    /// as old as the answer that carried the item, however long it took to come here.
    pub async fn write_taken(
        &self,
        operations: Vec<(Operation, Instant)>,
        permit: Option<Arc<dyn Permit>>,
    ) -> Vec<Decision> {
        if operations.is_empty() {
            return Vec::new();
        }
        let (submission, receiver) = Submission::new(operations.len(), permit);
        let waiting = Waiting(Arc::clone(&submission));
        let mut bytes = 0;
        let mut ops = Vec::with_capacity(operations.len());
        for (position, (operation, taken_at)) in operations.into_iter().enumerate() {
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

    /// Tells when [`BulkWriter::pauses`] changes.
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

fn taken_now(operations: Vec<Operation>) -> Vec<(Operation, Instant)> {
    let now = Instant::now();
    operations.into_iter().map(|operation| (operation, now)).collect()
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BulkWriter").field("counters", &self.counters).finish_non_exhaustive()
    }
}
