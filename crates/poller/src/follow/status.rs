//! What the follower is doing, for people and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamdex_mapping::{Outcome, Tally};
use tokio::time::Instant;

use crate::gap::Gap;
use crate::stream::ShardId;

/// A snapshot.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// What became of the records.
    pub tally: Tally,
    /// Records that were taken up and have no outcome (yet).
    pub undecided: u64,
    /// Records from before the start, passed over under `start = "latest"`; they are not counted above.
    pub before_start: u64,
    /// The shards that are being read.
    pub shards: Vec<ShardStatus>,
    /// The gaps met or found.
    pub gaps: Vec<Gap>,
    /// What holds the whole follower back, as the state table or the listing of shards.
    pub paused: Option<String>,
}

/// One shard that is being read.
#[derive(Debug, Clone)]
pub struct ShardStatus {
    /// The shard.
    pub shard: ShardId,
    /// How old the index is with regard to this shard. It grows while reading or writing fails.
    pub lag: Duration,
    /// Whether everything there was at the last poll is acknowledged.
    pub at_tip: bool,
    /// Why it does not go on, if it does not.
    pub paused: Option<String>,
}

/// Where shard tasks note what they do. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    tally: Tally,
    taken: u64,
    before_start: u64,
    shards: BTreeMap<ShardId, Entry>,
    /// Until when finished shards were current: their children begin there.
    ended: BTreeMap<ShardId, Instant>,
    gaps: Vec<Gap>,
    paused: Option<String>,
}

#[derive(Debug)]
struct Entry {
    /// The index shows everything of this shard up to this moment.
    current_as_of: Instant,
    at_tip: bool,
    polled: Instant,
    paused: Option<String>,
}

/// A shard at its tip is polled at least this often, so younger news than this counts as none.
const BETWEEN_POLLS: Duration = Duration::from_millis(1_500);
/// Children begin within a day, or meet a gap.
const KEEP_ENDED: Duration = Duration::from_secs(24 * 60 * 60);

// === impl Status ===

impl Status {
    /// The lag of the shard that is furthest behind; `None` where no shard is being read.
    pub fn lag(&self) -> Option<Duration> {
        self.shards.iter().map(|shard| shard.lag).max()
    }

    /// Whether every shard is at its tip and nothing is undecided.
    pub fn is_caught_up(&self) -> bool {
        self.undecided == 0 && !self.shards.is_empty() && self.shards.iter().all(|shard| shard.at_tip)
    }

    /// The reasons for which something does not go on, each once.
    pub fn pauses(&self) -> Vec<&str> {
        let of_shards = self.shards.iter().filter_map(|shard| shard.paused.as_deref());
        let mut pauses: Vec<&str> = of_shards.chain(self.paused.as_deref()).collect();
        pauses.sort_unstable();
        pauses.dedup();
        pauses
    }
}

// === impl StatusBoard ===

impl StatusBoard {
    /// What is known now.
    pub fn snapshot(&self) -> Status {
        let board = self.board();
        let now = Instant::now();
        Status {
            tally: board.tally,
            undecided: board.taken.saturating_sub(board.tally.records()),
            before_start: board.before_start,
            shards: board.shards.iter().map(|(shard, entry)| entry.status(shard, now)).collect(),
            gaps: board.gaps.clone(),
            paused: board.paused.clone(),
        }
    }

    /// A shard is being read from now on.
    pub(crate) fn begin(&self, shard: &ShardId, parent: Option<&ShardId>) {
        let now = Instant::now();
        let mut board = self.board();
        let inherited = parent.and_then(|parent| board.ended.get(parent)).copied();
        let entry = Entry { current_as_of: inherited.unwrap_or(now), at_tip: false, polled: now, paused: None };
        board.shards.insert(shard.clone(), entry);
    }

    /// Records are taken up; `before_start` more are passed over.
    pub(crate) fn take(&self, records: usize, before_start: usize) {
        let mut board = self.board();
        board.taken += u64::try_from(records).unwrap_or_default();
        board.before_start += u64::try_from(before_start).unwrap_or_default();
    }

    pub(crate) fn count(&self, outcomes: impl Iterator<Item = Outcome>) {
        let mut board = self.board();
        outcomes.for_each(|outcome| board.tally.add(outcome));
    }

    /// Everything up to a record that is so old is acknowledged.
    pub(crate) fn acknowledged(&self, shard: &ShardId, age: Duration) {
        let now = Instant::now();
        self.entry(shard, |entry| entry.current_as_of = now.checked_sub(age).unwrap_or(now));
    }

    /// Everything there was at this moment is acknowledged.
    pub(crate) fn current(&self, shard: &ShardId, as_of: Instant) {
        self.entry(shard, |entry| {
            entry.current_as_of = as_of;
            entry.at_tip = true;
        });
    }

    /// More waits than one page holds.
    pub(crate) fn behind(&self, shard: &ShardId) {
        self.entry(shard, |entry| entry.at_tip = false);
    }

    pub(crate) fn polled(&self, shard: &ShardId) {
        let now = Instant::now();
        self.entry(shard, |entry| entry.polled = now);
    }

    /// Notes why a shard does not go on, or that it does. Each change is one log line.
    pub(crate) fn pause(&self, shard: &ShardId, reason: Option<String>) {
        let mut changed = false;
        self.entry(shard, |entry| {
            changed = entry.paused != reason;
            entry.paused.clone_from(&reason);
        });
        match reason {
            Some(reason) if changed => tracing::warn!(%shard, reason, "paused"),
            None if changed => tracing::info!(%shard, "going on"),
            _ => {}
        }
    }

    pub(crate) fn pause_all(&self, reason: Option<String>) {
        let mut board = self.board();
        let changed = board.paused != reason;
        board.paused.clone_from(&reason);
        drop(board);
        match reason {
            Some(reason) if changed => tracing::warn!(reason, "paused"),
            None if changed => tracing::info!("going on"),
            _ => {}
        }
    }

    pub(crate) fn end(&self, shard: &ShardId) {
        let now = Instant::now();
        let mut board = self.board();
        board.ended.retain(|_, as_of| now.duration_since(*as_of) < KEEP_ENDED);
        if let Some(entry) = board.shards.remove(shard) {
            board.ended.insert(shard.clone(), entry.current_as_of);
        }
    }

    pub(crate) fn gap(&self, gap: &Gap) {
        let mut board = self.board();
        if !board.gaps.contains(gap) {
            board.gaps.push(gap.clone());
        }
    }

    fn entry(&self, shard: &ShardId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.board().shards.get_mut(shard) {
            change(entry);
        }
    }

    /// A task that panicked while it held the lock left nothing half done that matters here.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl Entry {
    fn status(&self, shard: &ShardId, now: Instant) -> ShardStatus {
        let recent = now.duration_since(self.polled) < BETWEEN_POLLS && self.paused.is_none();
        let at_tip = self.at_tip && recent && now.duration_since(self.current_as_of) < 2 * BETWEEN_POLLS;
        let lag = if at_tip { Duration::ZERO } else { now.duration_since(self.current_as_of) };
        ShardStatus { shard: shard.clone(), lag, at_tip, paused: self.paused.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lag_grows_while_polling_fails_and_while_writing_does() {
        let board = StatusBoard::default();
        let shard = ShardId::new("a");
        board.begin(&shard, None);
        board.current(&shard, Instant::now());
        assert_eq!(board.snapshot().lag(), Some(Duration::ZERO));
        assert!(board.snapshot().is_caught_up());
        // Nothing is polled.
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(board.snapshot().lag(), Some(Duration::from_secs(60)));
        // It is polled, and nothing is acknowledged.
        board.polled(&shard);
        assert_eq!(board.snapshot().lag(), Some(Duration::from_secs(60)));
        board.acknowledged(&shard, Duration::from_secs(5));
        board.behind(&shard);
        assert_eq!(board.snapshot().lag(), Some(Duration::from_secs(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_is_as_far_behind_as_its_parent_was() {
        let board = StatusBoard::default();
        let (parent, child) = (ShardId::new("a"), ShardId::new("b"));
        board.begin(&parent, None);
        tokio::time::advance(Duration::from_secs(30)).await;
        board.end(&parent);
        assert_eq!(board.snapshot().lag(), None);
        board.begin(&child, Some(&parent));
        assert_eq!(board.snapshot().lag(), Some(Duration::from_secs(30)));
    }
}
