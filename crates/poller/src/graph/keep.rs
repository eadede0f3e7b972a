//! The time for which a finished shard is remembered.

use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;

/// How long it is remembered that a shard is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepDone {
    /// A week: longer than it and its children can be listed.
    AWeek,
    /// For the life of the group: it began with this shard, and must not mistake it for a shard that vanished unread.
    ForEver {
        /// Its parent, which the group ignores.
        parent: Option<ShardId>,
    },
}

// === impl KeepDone ===

impl KeepDone {
    /// How long; `None` has no end.
    pub fn period(&self) -> Option<Duration> {
        match self {
            KeepDone::AWeek => Some(Duration::from_secs(7 * 24 * 60 * 60)),
            KeepDone::ForEver { .. } => None,
        }
    }

    /// The parent to remember, where it counts.
    pub fn parent(&self) -> Option<&ShardId> {
        match self {
            KeepDone::AWeek => None,
            KeepDone::ForEver { parent } => parent.as_ref(),
        }
    }
}
