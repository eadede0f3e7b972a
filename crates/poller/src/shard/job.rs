//! The input and the result of a shard's task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use streamdex_config::StreamArn;
use streamdex_dynamodb::stream::{ShardId, StreamSource};
use streamdex_mapping::CreationTime;
use streamdex_sink::index::VanishedIndex;
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Activity, Budget};
use crate::contact::{Contact, Unanswered};
use crate::delivery::Deliver;
use crate::gap::Gap;
use crate::graph::ReadFrom;
use crate::index_watch::IndexCheck;
use crate::lease::Tenure;
use crate::retention::Retained;
use crate::state::Progress;
use crate::status::StatusBoard;
use crate::turn::DescribeTurn;

/// What all shards of a stream share in one term.
pub(crate) struct Shared {
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) deliver: Arc<dyn Deliver>,
    pub(crate) progress: Progress,
    /// Nothing is written without it.
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) indices: IndexCheck,
    pub(crate) board: StatusBoard,
    pub(crate) contact: Contact,
    pub(crate) stream_arn: StreamArn,
    /// Bounds the memory of all shards together.
    pub(crate) budget: Budget,
    pub(crate) describe_turn: DescribeTurn,
    /// A reader needs a listing soon.
    pub(crate) wants_listing: Notify,
    /// The first listing of the term is complete.
    pub(crate) listed: SetOnce<()>,
    /// The longest time between two polls of an idle shard.
    pub(crate) freshness: Duration,
    /// Something came on a shard that was idle.
    pub(crate) burst: Notify,
    /// How many shards are read here.
    pub(crate) readers: AtomicUsize,
    /// How many of them have something to checkpoint.
    pub(crate) unstored: AtomicUsize,
    pub(crate) unanswered: Unanswered,
    /// The UUIDs of the cluster that the group writes to and of the one that answers, where those differ.
    pub(crate) other_cluster: Box<dyn Fn() -> Option<(String, String)> + Send + Sync>,
    /// When the term began.
    pub(crate) began: Instant,
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
    pub(crate) parent: Option<ShardId>,
    pub(crate) from: ReadFrom,
    /// The number of the task among those of the shard in this term.
    pub(crate) run: u64,
    /// Drop everything: the task makes no progress.
    pub(crate) kill: CancellationToken,
    pub(crate) activity: Arc<Activity>,
    /// The time until which the shard certainly keeps all its records. It counts until the first record is read.
    pub(crate) retained: Option<Retained>,
    /// The index is known to show everything of it up to this moment.
    pub(crate) current_as_of: Option<Instant>,
    /// Records created before this are passed over (`start = "latest"`).
    pub(crate) floor: Option<CreationTime>,
    /// `--until-end`: an open shard ends at the first record created after this.
    pub(crate) end: Option<CreationTime>,
    /// A root that the group has just begun with, and of which nothing was read: it may be trimmed as a whole.
    pub(crate) may_be_gone: bool,
}

/// Why the reading of a shard is over.
#[derive(Debug)]
pub(crate) enum ShardEnd {
    /// Drained, acknowledged, and noted as drained.
    Drained,
    /// The present end was reached, and everything is checkpointed.
    AtEnd,
    /// Changes are missing.
    Gap(Gap),
    /// Indices are gone.
    IndexLost(Vec<VanishedIndex>),
    /// Stopped in good order.
    Stopped,
    /// The lease is another worker's.
    LeaseLost,
    /// The lease is over, or the task was killed.
    Dropped,
    /// A one-shot command met something that does not pass.
    GaveUp { message: String, hint: String },
}

/// With so few shards, a single record is worth asking all of them.
const FEW_SHARDS: usize = 32;
/// With more, so many records at once: where they trickle, each would cost a call on every shard.
const BURST: usize = 10;
/// A checkpoint costs a write, and saves at most the repetition of so much.
const BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(1);
/// A partition of the state table takes 1,000 writes a second, and there are others than checkpoints.
const CHECKPOINTS_A_SECOND: u32 = 400;

impl Shared {
    /// How many records on a shard that was idle are a reason to ask the others.
    pub(super) fn burst_size(&self) -> usize {
        if self.readers.load(Ordering::Relaxed) <= FEW_SHARDS { 1 } else { BURST }
    }

    /// How long after a checkpoint of a shard the next one comes.
    pub(super) fn between_checkpoints(&self) -> Duration {
        between_checkpoints(self.unstored.load(Ordering::Relaxed))
    }
}

fn between_checkpoints(shards: usize) -> Duration {
    let shards = u32::try_from(shards).unwrap_or(u32::MAX);
    BETWEEN_CHECKPOINTS.max(Duration::from_secs(1).saturating_mul(shards) / CHECKPOINTS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l10_checkpoints_are_paced_below_what_a_partition_takes() {
        assert_eq!(between_checkpoints(1), Duration::from_secs(1));
        assert_eq!(between_checkpoints(400), Duration::from_secs(1));
        assert_eq!(between_checkpoints(10_000), Duration::from_secs(25));
    }
}
