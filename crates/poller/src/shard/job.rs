//! What the task of a shard is given, and what it comes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use streamdex_config::StreamArn;
use streamdex_dynamodb::stream::{ShardId, StreamSource};
use streamdex_mapping::CreationTime;
use streamdex_sink::index::VanishedIndex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Budget, Vital};
use crate::clock::Clock;
use crate::follow::confirm::Confirm;
use crate::follow::delivery::Deliver;
use crate::follow::status::StatusBoard;
use crate::gap::Gap;
use crate::graph::ReadFrom;
use crate::horizon::Horizon;
use crate::lease::{Lease, Tenure};
use crate::state::ProgressStore;
use crate::turn::DescribeTurn;

/// What all shards of a stream share.
pub(crate) struct Shared {
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) deliver: Arc<dyn Deliver>,
    pub(crate) store: Arc<dyn ProgressStore>,
    pub(crate) confirm: Confirm,
    pub(crate) board: StatusBoard,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stream_arn: StreamArn,
    /// Bounds the memory of all shards together.
    pub(crate) budget: Budget,
    pub(crate) describe_turn: DescribeTurn,
    /// How old news may be before an idle shard is asked for it.
    pub(crate) freshness: Duration,
    /// Something came on a shard that was idle.
    pub(crate) burst: Notify,
    /// How many shards are read here.
    pub(crate) readers: AtomicUsize,
    /// Stop reading, finish the page in hand.
    pub(crate) stop: CancellationToken,
    /// Leave the page in hand.
    pub(crate) abort: CancellationToken,
    /// One-shot commands give up after so long without progress.
    pub(crate) patience: Option<Duration>,
    /// Jitter.
    pub(crate) seed: u64,
}

/// One shard to read.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) shard: ShardId,
    pub(crate) lease: Lease,
    /// The worker's; nothing is written once it is over.
    pub(crate) tenure: Arc<Tenure>,
    /// Stop reading, finish the page in hand, and give the lease back.
    pub(crate) stop: CancellationToken,
    /// Drop everything: the task makes no progress.
    pub(crate) kill: CancellationToken,
    pub(crate) vital: Arc<Vital>,
    pub(crate) parent: Option<ShardId>,
    pub(crate) from: ReadFrom,
    /// Until when all of it is there; counts while nothing of it was read.
    pub(crate) horizon: Option<Horizon>,
    /// Records created before this are passed over (`start = "latest"`).
    pub(crate) floor: Option<CreationTime>,
    /// `--until-end`: the shard ends at the first record created after this.
    pub(crate) end: Option<CreationTime>,
}

/// Why the reading of a shard is over.
#[derive(Debug)]
pub(crate) enum ShardEnd {
    /// Drained, acknowledged, and noted as finished.
    Drained,
    /// The present end was reached, and everything is checkpointed.
    AtEnd,
    /// Changes are missing.
    Gap(Gap),
    /// Indices are gone.
    IndexLost(Vec<VanishedIndex>),
    /// Stopped in good order; the lease is given back, if that could be written in time.
    Stopped,
    /// The lease is another worker's.
    LeaseLost,
    /// The tenure is over, or the task was killed: nothing is known of the lease.
    Dropped,
    /// A one-shot command met something that does not pass.
    GaveUp { message: String, hint: String },
}

/// With so few shards, a single record is worth asking all of them.
const FEW_SHARDS: usize = 32;
/// With more, so many records at once: where they trickle, each would cost a call on every shard.
const BURST: usize = 10;

impl Shared {
    /// How many records on a shard that was idle are a reason to ask the others.
    pub(super) fn burst_size(&self) -> usize {
        if self.readers.load(Ordering::Relaxed) <= FEW_SHARDS { 1 } else { BURST }
    }
}
