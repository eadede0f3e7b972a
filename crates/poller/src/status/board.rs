//! The contents of the status board, behind its lock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::Tally;
use tokio::time::Instant;

use super::entry::Entry;
use super::fill::Fill;
use super::rate::Rate;
use super::said::Said;
use super::view::{Counters, Following, Role};
use crate::gap::Gap;

/// What is known of a follower and its shards.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) following: Following,
    pub(super) tally: Tally,
    pub(super) before_start: u64,
    pub(super) rate: Rate,
    pub(super) shards: BTreeMap<ShardId, Entry>,
    pub(super) ended: BTreeMap<ShardId, Ended>,
    pub(super) gaps: BTreeSet<Gap>,
    pub(super) fill: Fill,
    pub(super) paused: Option<String>,
    pub(super) said: Said,
    pub(super) role: Role,
    pub(super) beat: Option<Instant>,
    pub(super) lease_seen: Option<Instant>,
    pub(super) given_up: Option<(&'static str, Instant)>,
    pub(super) stream_silence: Duration,
    pub(super) turned: Option<Instant>,
    pub(super) is_over: bool,
    pub(super) projected_calls: f64,
    pub(super) prefetched: u64,
    pub(super) counters: Counters,
}

/// A shard that is not read any more.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its children begin there, and so does whoever takes it up again.
    pub(super) current_as_of: Instant,
    /// Records that were taken up and never decided. Who reads the shard again counts them again.
    pub(super) undecided: u64,
}

// === impl Board ===

impl Default for Board {
    fn default() -> Board {
        Board {
            following: Following::default(),
            tally: Tally::default(),
            before_start: 0,
            rate: Rate::new(Instant::now()),
            shards: BTreeMap::new(),
            ended: BTreeMap::new(),
            gaps: BTreeSet::new(),
            fill: Fill::Unknown,
            paused: None,
            said: Said::default(),
            role: Role::default(),
            beat: None,
            lease_seen: None,
            given_up: None,
            stream_silence: Duration::ZERO,
            turned: None,
            is_over: false,
            projected_calls: 0.0,
            prefetched: 0,
            counters: Counters::default(),
        }
    }
}

impl Board {
    pub(super) fn undecided(&self) -> u64 {
        let shown: u64 = self.shards.values().map(|entry| entry.in_flight).sum();
        let ended: u64 = self.ended.values().map(|ended| ended.undecided).sum();
        shown + ended
    }

    pub(super) fn known_until(&self, shard: &ShardId) -> Option<Instant> {
        let now_shown = self.shards.get(shard).and_then(|entry| entry.current_as_of);
        now_shown.or_else(|| self.ended.get(shard).map(|ended| ended.current_as_of))
    }

    /// What is read again is counted again.
    pub(super) fn forget_undecided(&mut self, shard: &ShardId) {
        if let Some(ended) = self.ended.get_mut(shard) {
            ended.undecided = 0;
        }
        if let Some(entry) = self.shards.get_mut(shard) {
            entry.in_flight = 0;
        }
    }

    pub(super) fn end(&mut self, shard: &ShardId) {
        if let Some(entry) = self.shards.remove(shard)
            && let Some(current_as_of) = entry.current_as_of
        {
            self.ended.insert(shard.clone(), Ended { current_as_of, undecided: entry.in_flight });
        }
    }
}
