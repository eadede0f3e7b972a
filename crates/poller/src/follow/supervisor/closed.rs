//! Finds the shards that a listing shows as closed. Pure.

use std::collections::BTreeSet;

use streamdex_dynamodb::stream::{ListedShard, ShardId, StreamStatus};
use tokio::time::Instant;

use crate::follow::settings::Settings;
use crate::shard::Activity;

/// What a listing says of the shards that it shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closed {
    /// With an ending sequence number.
    ended: BTreeSet<ShardId>,
    /// Closed by a sign that counts.
    closed: BTreeSet<ShardId>,
    /// The stream is switched off: all of them are.
    all: bool,
    /// When the listing was begun; `None` before the first one.
    began: Option<Instant>,
}

impl Closed {
    /// Reads a listing. On an emulator an ending sequence number alone says nothing: open shards have one too.
    pub(super) fn of(listed: &[ListedShard], status: StreamStatus, began: Instant, settings: &Settings) -> Closed {
        let ended: BTreeSet<ShardId> =
            listed.iter().filter(|shard| shard.closed).map(|shard| shard.id.clone()).collect();
        let mut closed: BTreeSet<ShardId> = listed.iter().filter_map(|shard| shard.parent.clone()).collect();
        if !settings.stream_arn.table().is_emulator() {
            closed.extend(ended.iter().cloned());
        }
        Closed { ended, closed, all: status == StreamStatus::Disabled, began: Some(began) }
    }

    /// Tells the task of a shard.
    pub(super) fn note(&self, shard: &ShardId, activity: &Activity) {
        if self.ended.contains(shard) {
            activity.end();
        }
        if self.all || self.closed.contains(shard) {
            activity.close();
        }
        if let Some(began) = self.began {
            activity.note_listing(began);
        }
    }
}
