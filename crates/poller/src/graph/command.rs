//! What the graph of shards asks for.

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
    /// This shard may be read: give it an item, so that a worker claims it.
    Offer {
        /// The shard.
        shard: ShardId,
        /// Where it came from.
        parent: Option<ShardId>,
    },
    /// Ask for the children of this shard, after [`super::seek_delay`] of `attempt`.
    SeekChildren {
        /// The drained shard.
        parent: ShardId,
        /// How often it was asked for before.
        attempt: u32,
    },
    /// No child is to be seen yet: note that the shard itself is drained.
    Finish {
        /// The drained shard.
        shard: ShardId,
    },
    /// Its first children are found: the shard is done, and they may be read.
    Succeed {
        /// The drained shard.
        parent: ShardId,
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

/// Whether there is something left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Shards are being read, or children are awaited.
    Going,
    /// Every shard ended ([`Until::PresentEnd`] alone).
    Complete,
    /// All that is known of has a gap, and no listing was seen yet that could show more.
    Unlisted,
    /// Nothing can go on: each lineage has a gap.
    OnlyGaps,
}
