//! The state of a shard in the state table.

use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::SequenceNumber;

/// A shard out of the state table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownShard {
    /// The shard.
    pub id: ShardId,
    /// Where it came from.
    pub parent: Option<ShardId>,
    /// How far it was read.
    pub progress: ShardProgress,
    /// Whether its item was written longer ago than the stream keeps records.
    pub stale: bool,
}

/// How far a shard was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardProgress {
    /// May be read; the last acknowledged record, if any.
    Open(Option<SequenceNumber>),
    /// Read to its end, and everything acknowledged. Not all of its children have items yet.
    Drained,
    /// Drained, and its children have items.
    Done,
    /// Stopped at a gap.
    Gapped,
}
