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
mod echo;
mod gate;
mod gates;
mod held;
mod lane;
mod learned;
mod limits;
mod op;
mod permit;
mod probe;
mod progress;
mod queue;
mod refusals;
mod request;
mod scheduler;
mod settings;
#[cfg(test)]
mod simulation;
mod stats;
mod streaks;
mod submission;
mod suspicion;
mod verdict;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use streamdex_mapping::{IndexName, Operation};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use decision::{Decision, Fault, Refusal};
pub use learned::Learned;
pub use permit::Permit;
pub use request::BulkTransport;
pub use settings::{Patience, ShortStreak, WriterSettings};
pub use stats::{LATENCY_BOUNDS, WriterStats};
pub use streaks::Braked;

use crate::client::Client;
use crate::encode::{check, encoded_len};
use crate::pause::Pause;
use dispatch::Dispatcher;
use op::Op;
use scheduler::Scheduler;
use stats::Counters;
use submission::{Submission, Ticket, Waiting};

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
    learned: Learned,
    cancel: CancellationToken,
    /// Its task has ended by a panic, or a request's has.
    broken: CancellationToken,
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

    /// As [`BulkWriter::start`], with what earlier writers have learned; this one adds to it.
    pub fn start_with(
        client: Client,
        targets: Arc<dyn Targets>,
        settings: WriterSettings,
        learned: Learned,
        cancel: CancellationToken,
    ) -> BulkWriter {
        BulkWriter::start_on_with(Arc::new(client), targets, settings, learned, cancel)
    }

    /// As [`BulkWriter::start`], over any transport.
    pub fn start_on(
        transport: Arc<dyn BulkTransport>,
        targets: Arc<dyn Targets>,
        settings: WriterSettings,
        cancel: CancellationToken,
    ) -> BulkWriter {
        let learned = Learned::new(&settings);
        BulkWriter::start_on_with(transport, targets, settings, learned, cancel)
    }

    /// As [`BulkWriter::start_on`], with what earlier writers have learned; this one adds to it.
    pub fn start_on_with(
        transport: Arc<dyn BulkTransport>,
        targets: Arc<dyn Targets>,
        settings: WriterSettings,
        learned: Learned,
        cancel: CancellationToken,
    ) -> BulkWriter {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (publish, pauses) = watch::channel(Vec::new());
        let counters = Arc::new(Counters::default());
        let capacity = u32::try_from(settings.memory.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        let memory = usize::try_from(capacity).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let tasks = TaskTracker::new();
        let scheduler = Scheduler::new(settings, learned.clone(), Arc::clone(&counters), Instant::now());
        let dispatcher = Dispatcher::new(transport, inbox, publish, scheduler);
        // Its log lines belong to whoever started the writer: an invocation, say.
        let broken = CancellationToken::new();
        tasks.spawn(watched(dispatcher.run(cancel.clone()), broken.clone()).in_current_span());
        tasks.close();
        BulkWriter(Arc::new(Shared {
            targets,
            inbox: sender,
            memory: Arc::new(Semaphore::new(memory)),
            capacity,
            learned,
            cancel,
            broken,
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
        self.write_with(taken_now(operations), None, None).await
    }

    /// As [`BulkWriter::write`], while `permit` is granted.
    pub async fn write_under(&self, operations: Vec<Operation>, permit: Arc<dyn Permit>) -> Vec<Decision> {
        self.write_with(taken_now(operations), Some(permit), None).await
    }

    /// As [`BulkWriter::write`], under a permit where there is one, of operations each of which is as old as its moment
    /// says: an operation from a read is as old as the answer that carried the item, however long it took to come here.
    ///
    /// Each refusal is sent to `refusals` as it falls, with the place of its operation, so that it can be stored while
    /// neighbours wait; give the channel room for one for each operation. It is closed with the last decision.
    pub async fn write_reporting(
        &self,
        operations: Vec<(Operation, Instant)>,
        permit: Option<Arc<dyn Permit>>,
        refusals: mpsc::Sender<(usize, Refusal)>,
    ) -> Vec<Decision> {
        self.write_with(operations, permit, Some(refusals)).await
    }

    async fn write_with(
        &self,
        operations: Vec<(Operation, Instant)>,
        permit: Option<Arc<dyn Permit>>,
        refusals: Option<mpsc::Sender<(usize, Refusal)>>,
    ) -> Vec<Decision> {
        if operations.is_empty() {
            return Vec::new();
        }
        let (submission, receiver) = Submission::new(operations.len(), permit);
        if let Some(refusals) = refusals {
            submission.report_refusals(refusals);
        }
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

    /// Wakes whenever [`BulkWriter::pauses`] changes.
    pub fn watch_pauses(&self) -> watch::Receiver<Vec<Pause>> {
        self.0.pauses.clone()
    }

    /// What it has learned so far, for the next writer.
    pub fn learned(&self) -> Learned {
        self.0.learned.clone()
    }

    /// See [`Learned::doubt_earlier_requests`].
    pub fn doubt_earlier_requests(&self) {
        self.0.learned.doubt_earlier_requests();
    }

    /// The indices under the brake: they refuse document after document.
    pub fn braked(&self) -> Vec<Braked> {
        self.0.learned.braked()
    }

    /// The counters.
    pub fn stats(&self) -> WriterStats {
        self.0.counters.snapshot()
    }

    /// Waits until the writer has ended, after it was cancelled.
    pub async fn ended(&self) {
        self.0.tasks.wait().await;
    }

    /// Returns once the writer cannot write any more because of a bug: its task has panicked. Otherwise it never
    /// returns. The owner of the writer must then end with an error.
    pub async fn broken(&self) {
        self.0.broken.cancelled().await;
    }

    /// Whether the writer can write no more because of a defect.
    pub fn is_broken(&self) -> bool {
        self.0.broken.is_cancelled()
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
        (self.0.learned.seed(), &address.index, &address.id).hash(&mut hasher);
        let document = hasher.finish();
        Some(Op { taken_at, ..Op::new(operation, concrete, bytes, document, ticket) })
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

/// Lets the owner know how the dispatcher ended. Without this a panic would end the task in silence.
async fn watched(dispatcher: impl Future<Output = dispatch::End>, broken: CancellationToken) {
    let end = AssertUnwindSafe(dispatcher).catch_unwind().await;
    if !matches!(end, Ok(dispatch::End::Complete)) {
        tracing::error!("the bulk writer failed and writing has stopped; please report this");
        broken.cancel();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BulkWriter").field("counters", &self.counters).finish_non_exhaustive()
    }
}
