//! The commands of the shard graph.

use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::SequenceNumber;

use crate::gap::GapKind;

/// When the work is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never: shards and their children are followed for ever.
    Stopped,
    /// At the present end of the shards of the first listing and of their descendants.
    PresentEnd,
}

/// Where the reading of a shard begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record there is; that older ones were trimmed is no gap.
    Oldest,
    /// The first record of the shard; trimmed ones are a gap.
    Beginning,
    /// The record after this one; trimmed ones are a gap.
    After(SequenceNumber),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// This shard may be read: give it an item, and say so with [`super::ShardGraph::stored`].
    Store {
        /// The shard.
        shard: ShardId,
        /// Where it came from.
        parent: Option<ShardId>,
    },
    /// This shard has an item: read it.
    Read {
        /// The shard.
        shard: ShardId,
        /// Where it came from.
        parent: Option<ShardId>,
        /// Whether the position in its item counts. It does not where its parent was found undrained (rule L2).
        position: Position,
    },
    /// Ask for the children of this shard, after [`super::seek_delay`] of `attempt`.
    SeekChildren {
        /// The drained shard.
        parent: ShardId,
        /// How often it was asked for before.
        attempt: u32,
    },
    /// All children have items: note that the shard is done.
    Done {
        /// The drained shard.
        shard: ShardId,
        /// Its children.
        children: Vec<ShardId>,
    },
    /// Record this gap; the lineage is stopped already.
    Gap {
        /// The shard.
        shard: ShardId,
        /// Why.
        kind: GapKind,
    },
    /// List all shards again, soon: there is a doubt. The longer it stays, the later.
    ListAgain,
}

/// Whether the position in a shard's item counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// It does.
    Counts,
    /// It does not: reading begins at the oldest record.
    Ignored,
}

/// Whether there is something left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// Shards are being read, or children are awaited.
    Some,
    /// Every shard ended ([`Until::PresentEnd`] alone).
    Nothing,
    /// All that is known of has a gap, and no listing was seen yet that could show more.
    Unlisted,
    /// Nothing can go on: each lineage has a gap.
    OnlyGaps,
}
