//! One shard on the board.

use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::Tally;
use tokio::time::Instant;

use super::lag::Seen;
use super::rate::Rate;
use super::said::Said;
use super::view::{LastError, Phase, ShardStatus};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) phase: Phase,
    /// The shard that it came from, where one is known.
    pub(super) parent: Option<ShardId>,
    /// The index shows everything of this shard up to this moment; `None`: nothing is known.
    pub(super) current_as_of: Option<Instant>,
    /// When a record came that was older than what had been taken for the end.
    pub(super) revoked: Option<Instant>,
    pub(super) caught_up: bool,
    /// Pages with records that were read and are not written.
    pub(super) pages: u64,
    pub(super) polled: Option<Instant>,
    pub(super) paused: Option<String>,
    pub(super) said: Said,
    pub(super) in_flight: u64,
    pub(super) tally: Tally,
    pub(super) rate: Rate,
    retries: u64,
    last_error: Option<(String, String, Instant)>,
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(phase: Phase, now: Instant) -> Entry {
        Entry {
            phase,
            parent: None,
            current_as_of: None,
            revoked: None,
            caught_up: false,
            pages: 0,
            polled: None,
            paused: None,
            said: Said::default(),
            in_flight: 0,
            tally: Tally::default(),
            rate: Rate::new(now),
            retries: 0,
            last_error: None,
        }
    }

    pub(super) fn failed(&mut self, message: String, hint: String, now: Instant) {
        self.retries += 1;
        self.last_error = Some((message, hint, now));
    }

    pub(super) fn status(&self, shard: &ShardId, freshness: Duration, now: Instant) -> ShardStatus {
        let seen = self.seen();
        let phase = match (self.phase, &self.paused) {
            (Phase::Reading, Some(_)) => Phase::Paused,
            (phase, _) => phase,
        };
        ShardStatus {
            shard: shard.clone(),
            parent: self.parent.clone(),
            phase,
            lag: seen.map(|seen| seen.lag(freshness, now)),
            polled: self.polled.filter(|_| phase == Phase::Reading).map(|polled| now.duration_since(polled)),
            caught_up: seen.is_some_and(|seen| seen.is_caught_up(freshness, now)),
            paused: self.paused.clone(),
            rate: self.rate.at(now),
            in_flight: self.in_flight,
            retries: self.retries,
            tally: self.tally,
            last_error: self.last_error.as_ref().map(|(message, hint, at)| LastError {
                message: message.clone(),
                hint: hint.clone(),
                ago: now.duration_since(*at),
            }),
        }
    }

    pub(super) fn is_caught_up(&self, freshness: Duration, now: Instant) -> bool {
        self.seen().is_some_and(|seen| seen.is_caught_up(freshness, now))
    }

    /// Of a lineage that stands still nothing more is to come, so that it has no lag.
    fn seen(&self) -> Option<Seen> {
        if self.phase == Phase::Gapped {
            return None;
        }
        let current_as_of = self.current_as_of?;
        Some(Seen {
            current_as_of,
            polled: self.polled.unwrap_or(current_as_of),
            end_seen: self.caught_up && self.phase == Phase::Reading,
            held_back: self.paused.is_some(),
            in_flight: self.in_flight + self.pages,
        })
    }
}
