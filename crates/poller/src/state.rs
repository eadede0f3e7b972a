//! Progress in the state table: where a group began, how far each shard was read, leases, workers and gaps.
//!
//! Keys and attributes are fixed by `docs/adr/0007-state-table-keys.md`.

mod rows;
mod stream_state;

use std::collections::BTreeMap;

use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::SequenceNumber;
use streamdex_sink::index::KnownIndex;

pub use self::stream_state::StreamState;
use crate::gap::Gap;
use crate::graph::{KeepDone, KnownProgress};
use crate::lease::{Holder, Lease, WorkerId, Written};

/// The generation of each index, by the text that the configuration gives it.
pub type Generations = BTreeMap<String, u32>;

/// Everything that a group has stored about one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The stream, if the group has begun to follow it.
    pub start: Option<StreamStart>,
    /// Labels of other streams of the same table that the group has followed.
    pub other_streams: Vec<String>,
    /// Labels of streams that were read to their end: another one has taken their place, or their table is gone.
    pub ended_streams: Vec<String>,
    /// The shards of the stream.
    pub shards: Vec<StoredShard>,
    /// The gaps of the stream.
    pub gaps: Vec<Gap>,
    /// The indices that were written to.
    pub indices: Vec<KnownIndex>,
    /// The workers that have not left, dead ones among them.
    pub workers: Vec<StoredWorker>,
    /// Items that cannot be read, by sort key; they are passed over.
    pub malformed: Vec<String>,
    /// The shards of the stream among those: nobody knows how far they were read.
    pub malformed_shards: Vec<ShardId>,
}

/// Where and when a group began to follow a stream. Written once, before the first read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStart {
    /// `trim_horizon` or `latest`.
    pub position: streamdex_config::StartPosition,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The shards to begin with.
    pub roots: Vec<ShardId>,
}

/// A shard's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredShard {
    /// The shard.
    pub id: ShardId,
    /// Where it came from.
    pub parent: Option<ShardId>,
    /// How far it was read.
    pub progress: KnownProgress,
    /// With which generations of the indices.
    pub generations: Generations,
    /// When this was written, in seconds since 1970.
    pub updated: u64,
    /// Who reads it.
    pub holder: Holder,
}

/// A worker's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWorker {
    /// Its id.
    pub id: WorkerId,
    /// Grows with each beat.
    pub beat: u64,
    /// When it started, in seconds since 1970 by its own clock.
    pub started: u64,
    /// When it wrote this, in seconds since 1970 by its own clock.
    pub at: u64,
    /// The version of streamdex.
    pub version: String,
    /// What it says of itself: JSON, for `streamdex status`.
    pub summary: String,
}

/// A worker's sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// Grows with each beat.
    pub number: u64,
    /// When the worker started, in seconds since 1970 by its own clock.
    pub started: u64,
    /// Now, in seconds since 1970 by its own clock.
    pub at: u64,
    /// What it says of itself: JSON, at most 1 KB.
    pub summary: String,
}

/// Where a group's progress on one stream is kept, as one worker uses it. Implemented by [`StreamState`].
///
/// Reads are strongly consistent. Whether a write whose answer is lost was carried out is not known; all of
/// them may be repeated.
#[async_trait::async_trait]
pub trait ProgressStore: Send + Sync {
    /// The worker that writes.
    fn worker(&self) -> &WorkerId;
    /// Everything there is.
    async fn load(&self) -> Result<Loaded, StateError>;
    /// Everything but shards that are [`KnownProgress::Done`]: one Query.
    async fn refresh(&self) -> Result<Loaded, StateError>;
    /// A sign of life.
    async fn beat(&self, beat: &Beat) -> Result<(), StateError>;
    /// The worker stops for good; what it still owns is free.
    async fn leave(&self) -> Result<(), StateError>;
    /// Stores where the group begins, and returns what is stored: the first writer wins.
    async fn pin(&self, start: &StreamStart) -> Result<StreamStart, StateError>;
    /// The shard may be read, and nobody reads it yet. Where it has an item, nothing changes.
    async fn offer(&self, shard: &ShardId, parent: Option<&ShardId>) -> Result<(), StateError>;
    /// Takes a lease that was seen with `holder`. `None`: it is gone, or has changed hands.
    async fn claim(&self, shard: &ShardId, holder: &Holder) -> Result<Option<StoredShard>, StateError>;
    /// Everything up to and including this record is acknowledged. Never goes backwards.
    async fn checkpoint(&self, lease: &Lease, position: &SequenceNumber) -> Result<Written, StateError>;
    /// Gives the lease back, with a last checkpoint where there is one.
    async fn release(&self, lease: &Lease, position: Option<&SequenceNumber>) -> Result<Written, StateError>;
    /// The shard is drained, everything is acknowledged, and no child is to be seen yet.
    async fn finish(&self, lease: &Lease) -> Result<Written, StateError>;
    /// The shard is drained and everything is acknowledged: it is done, and its children are this worker's, with
    /// fence 1. All of that, or nothing.
    async fn succeed(&self, lease: &Lease, children: &[ShardId], keep: &KeepDone) -> Result<Written, StateError>;
    /// Records a gap; the same gap twice is one.
    async fn gap(&self, gap: &Gap) -> Result<(), StateError>;
    /// Remembers the UUID of an index that is written to.
    async fn index(&self, index: &KnownIndex) -> Result<(), StateError>;
}

// === impl Loaded ===

impl Loaded {
    /// The label of the last stream that the group has followed, where that is another one and was not read to its
    /// end.
    pub fn unfinished_stream(&self) -> Option<&str> {
        if self.start.is_some() {
            return None;
        }
        // Labels are times.
        let last = self.other_streams.iter().max()?;
        (!self.ended_streams.contains(last)).then_some(last)
    }

    /// A shard that a gap is about stands still, whatever its own item says.
    pub fn stop_at_gaps(&mut self) {
        for shard in &mut self.shards {
            let has_gap = self.gaps.iter().any(|gap| gap.subject == shard.id.as_str());
            if shard.progress != KnownProgress::Done && has_gap {
                shard.progress = KnownProgress::Gapped;
            }
        }
    }
}
