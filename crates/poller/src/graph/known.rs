//! What the state table says of a shard.

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
    pub progress: KnownProgress,
    /// Whether its item was written longer ago than the stream keeps records.
    pub stale: bool,
}

/// How far a shard was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownProgress {
    /// May be read; the last acknowledged record, if any.
    Begun(Option<SequenceNumber>),
    /// Drained, and everything acknowledged. Its children are not in the state table yet.
    Finished,
    /// Drained, and its children are in the state table.
    Done,
    /// Stopped at a gap.
    Gapped,
}
