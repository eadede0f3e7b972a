//! What the follower is doing, for people and metrics.

mod entry;
mod lag;
mod rate;
mod said;
mod summary;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::{Outcome, Tally};
use tokio::time::Instant;

use self::entry::Entry;
use self::rate::Rate;
use self::said::{Line, Said};
pub use self::summary::Summary;
pub use self::view::{Call, Counters, Following, LastError, LeaseChange, Membership, Phase, ShardStatus, Status};
use crate::gap::Gap;

/// Where shard tasks note what they do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusBoard(Arc<Mutex<Board>>);

#[derive(Debug)]
struct Board {
    following: Following,
    tally: Tally,
    before_start: u64,
    rate: Rate,
    shards: BTreeMap<ShardId, Entry>,
    elsewhere: BTreeMap<ShardId, String>,
    ended: BTreeMap<ShardId, Ended>,
    gaps: Vec<Gap>,
    paused: Option<String>,
    said: Said,
    membership: Membership,
    beat: Option<Instant>,
    turned: Option<Instant>,
    projected_calls: f64,
    prefetched: u64,
    counters: Counters,
}

/// A shard that is not read any more.
#[derive(Debug)]
struct Ended {
    /// Its children begin there, and so does whoever takes it up again.
    current_as_of: Instant,
    /// Records that were taken up and never decided. Who reads the shard again counts them again.
    undecided: u64,
}

/// Children begin within a day, or meet a gap.
const KEEP_ENDED: Duration = Duration::from_secs(24 * 60 * 60);

// === impl StatusBoard ===

impl Default for StatusBoard {
    fn default() -> StatusBoard {
        StatusBoard(Arc::new(Mutex::new(Board {
            following: Following::default(),
            tally: Tally::default(),
            before_start: 0,
            rate: Rate::new(Instant::now()),
            shards: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            ended: BTreeMap::new(),
            gaps: Vec::new(),
            paused: None,
            said: Said::default(),
            membership: Membership::default(),
            beat: None,
            turned: None,
            projected_calls: 0.0,
            prefetched: 0,
            counters: Counters::default(),
        })))
    }
}

impl StatusBoard {
    /// What is known now.
    pub fn snapshot(&self) -> Status {
        let board = self.board();
        let now = Instant::now();
        let freshness = board.following.freshness;
        Status {
            following: board.following.clone(),
            tally: board.tally,
            undecided: board.undecided(),
            before_start: board.before_start,
            rate: board.rate.at(now),
            shards: board.shards.iter().map(|(shard, entry)| entry.status(shard, freshness, now)).collect(),
            elsewhere: board.elsewhere.clone(),
            gaps: board.gaps.clone(),
            paused: board.paused.clone(),
            membership: board.membership.clone(),
            heartbeat_age: board.beat.map(|beat| now.duration_since(beat)),
            turned: board.turned.map(|turned| now.duration_since(turned)),
            projected_calls: board.projected_calls,
            prefetched: board.prefetched,
            counters: board.counters.clone(),
        }
    }

    /// What a heartbeat says of this worker: JSON of less than 1 KB.
    pub(crate) fn summary(&self) -> String {
        Summary::of(&self.snapshot()).to_json()
    }

    // --- the follower as a whole ---

    /// This is what is followed; a table whose stream was switched off and on has another one.
    pub(crate) fn follows(&self, following: Following) {
        self.board().following = following;
    }

    /// The supervisor's loop has turned. `/livez` fails a minute after the last time.
    pub(crate) fn turned(&self) {
        self.board().turned = Some(Instant::now());
    }

    /// The supervisor's loop is over, and is not expected to turn any more.
    pub(crate) fn over(&self) {
        self.board().turned = None;
    }

    /// Who works on the table, as of the last refresh.
    pub(crate) fn workers(&self, membership: Membership) {
        self.board().membership = membership;
    }

    /// A beat is confirmed; `begun` is when its write was started.
    pub(crate) fn beat_confirmed(&self, begun: Instant) {
        self.board().beat = Some(begun);
    }

    /// This worker's beat was not confirmed in time, and it gave up its leases.
    pub(crate) fn tenure_lapsed(&self) {
        self.board().counters.tenure_lapses += 1;
    }

    /// A lease of this worker's has changed.
    pub(crate) fn lease_changed(&self, change: LeaseChange) {
        *self.board().counters.lease_changes.entry(change).or_default() += 1;
    }

    /// All shards that others care for, and who does. A shard among them that this worker cared for is gone
    /// from here, with what it left undecided: whoever has it now counts it.
    pub(crate) fn elsewhere(&self, shards: &[(ShardId, String)]) {
        let now = Instant::now();
        let mut board = self.board();
        for (shard, _) in shards {
            board.forget_undecided(shard);
            board.end(shard, now);
        }
        board.elsewhere = shards.iter().cloned().collect();
    }

    /// All shards of the state table that are not done. One that waits here and is not among them was read to its
    /// end by another worker, and nothing of it is behind.
    pub(crate) fn open_shards<'a>(&self, open: impl Iterator<Item = &'a ShardId>) {
        let (open, now): (BTreeSet<&ShardId>, _) = (open.collect(), Instant::now());
        let mut board = self.board();
        let waiting = board.shards.iter().filter(|(_, entry)| entry.phase == Phase::Waiting);
        let gone: Vec<ShardId> =
            waiting.map(|(shard, _)| shard).filter(|shard| !open.contains(shard)).cloned().collect();
        for shard in gone {
            board.forget_undecided(&shard);
            board.end(&shard, now);
        }
    }

    /// Calls to DynamoDB Streams in an hour, as things are now.
    pub(crate) fn projected_calls(&self, per_hour: f64) {
        // The sum of nothing is -0.0, which would be shown so.
        self.board().projected_calls = per_hour + 0.0;
    }

    /// Bytes of records that were read and are not written yet.
    pub(crate) fn prefetched(&self, bytes: u64) {
        self.board().prefetched = bytes;
    }

    pub(crate) fn pause_all(&self, reason: Option<String>) {
        let mut board = self.board();
        let line = board.said.line(reason.as_deref(), Instant::now());
        board.paused.clone_from(&reason);
        drop(board);
        match line {
            Line::Paused => tracing::warn!(reason, "paused"),
            Line::GoingOn => tracing::info!("going on"),
            Line::Nothing => {}
        }
    }

    pub(crate) fn gap(&self, gap: &Gap) {
        let mut board = self.board();
        if !board.gaps.contains(gap) {
            board.gaps.push(gap.clone());
        }
    }

    // --- one shard ---

    /// A shard is being read from now on. Where it was read before, or its parent was, it is as far behind as
    /// that was.
    pub(crate) fn begin(&self, shard: &ShardId, parent: Option<&ShardId>) {
        let now = Instant::now();
        let mut board = self.board();
        let before = board.known_until(shard).or_else(|| board.known_until(parent?));
        board.forget_undecided(shard);
        board.elsewhere.remove(shard);
        if let Some(parent) = parent
            && board.shards.get(parent).is_some_and(|entry| entry.phase == Phase::SearchingChildren)
        {
            board.end(parent, now);
        }
        let mut entry = Entry::new(Phase::Reading, now);
        entry.polled = Some(now);
        entry.current_as_of = Some(before.unwrap_or(now));
        board.shards.insert(shard.clone(), entry);
    }

    /// Something else is going on with the shard. A shard that nothing was known of is shown from now on.
    ///
    /// [`Phase::Waiting`] is also for a shard whose task has ended and that nobody else has (yet): its lag
    /// grows on. [`Phase::Elsewhere`] is not for this: see [`StatusBoard::elsewhere`].
    pub(crate) fn phase(&self, shard: &ShardId, phase: Phase) {
        let now = Instant::now();
        let mut board = self.board();
        let before = board.known_until(shard);
        let entry = board.shards.entry(shard.clone()).or_insert_with(|| Entry::new(phase, now));
        entry.phase = phase;
        entry.current_as_of = entry.current_as_of.or(before);
        if phase != Phase::Reading {
            entry.at_tip = false;
            entry.paused = None;
        }
    }

    /// Records of a shard are taken up; `before_start` more are passed over.
    pub(crate) fn take_of(&self, shard: &ShardId, records: usize, before_start: usize) {
        self.board().before_start += count(before_start);
        self.entry(shard, |entry| entry.in_flight += count(records));
    }

    /// Records of a shard have their outcomes.
    pub(crate) fn count_of(&self, shard: &ShardId, outcomes: impl Iterator<Item = Outcome>) {
        let mut tally = Tally::default();
        outcomes.for_each(|outcome| tally.add(outcome));
        let (records, now) = (tally.records(), Instant::now());
        let mut board = self.board();
        board.tally += tally;
        board.rate.add(records, now);
        if let Some(entry) = board.shards.get_mut(shard) {
            entry.tally += tally;
            entry.in_flight = entry.in_flight.saturating_sub(records);
            entry.rate.add(records, now);
        } else if let Some(ended) = board.ended.get_mut(shard) {
            ended.undecided = ended.undecided.saturating_sub(records);
        }
    }

    /// A call for records has ended.
    pub(crate) fn called(&self, call: Call) {
        *self.board().counters.calls.entry(call).or_default() += 1;
    }

    /// Something failed on the shard, and is tried again.
    pub(crate) fn error(&self, shard: &ShardId, message: impl Into<String>, hint: impl Into<String>) {
        let now = Instant::now();
        self.board().counters.retries += 1;
        self.entry(shard, |entry| entry.failed(message.into(), hint.into(), now));
    }

    /// GetRecords answered with status 200 and said nothing.
    pub(crate) fn incomplete_answer(&self) {
        self.board().counters.incomplete_answers += 1;
    }

    /// A record's creation time was before that of an earlier record of the shard.
    pub(crate) fn backwards(&self, shard: &ShardId) {
        self.board().counters.backwards += 1;
        tracing::debug!(%shard, "a record was created before an earlier one of its shard");
    }

    /// The shard's task made no progress, though there was work, and was started again.
    pub(crate) fn watchdog_restart(&self, shard: &ShardId) {
        self.board().counters.watchdog_restarts += 1;
        tracing::warn!(%shard, "no progress was made though there was work: starting again");
    }

    /// A checkpoint is stored.
    pub(crate) fn checkpointed(&self) {
        self.board().counters.checkpoints += 1;
    }

    /// Everything up to a record that is so old is acknowledged, and there may be more.
    pub(crate) fn acknowledged(&self, shard: &ShardId, age: Duration) {
        let now = Instant::now();
        self.entry(shard, |entry| {
            entry.current_as_of = Some(now.checked_sub(age).unwrap_or(now));
            entry.at_tip = false;
        });
    }

    /// Everything there was at this moment is acknowledged.
    pub(crate) fn current(&self, shard: &ShardId, as_of: Instant) {
        self.entry(shard, |entry| {
            entry.current_as_of = Some(as_of);
            entry.at_tip = true;
        });
    }

    /// More waits than one page holds.
    pub(crate) fn behind(&self, shard: &ShardId) {
        self.entry(shard, |entry| entry.at_tip = false);
    }

    /// A call for records has succeeded.
    pub(crate) fn polled(&self, shard: &ShardId) {
        let now = Instant::now();
        self.entry(shard, |entry| entry.polled = Some(now));
    }

    /// Notes why a shard does not go on, or that it does. Each change is a log line, at most one pair a minute.
    pub(crate) fn pause(&self, shard: &ShardId, reason: Option<String>) {
        let mut line = Line::Nothing;
        self.entry(shard, |entry| {
            line = entry.said.line(reason.as_deref(), Instant::now());
            entry.paused.clone_from(&reason);
        });
        match line {
            Line::Paused => tracing::warn!(%shard, reason, "paused"),
            Line::GoingOn => tracing::info!(%shard, "going on"),
            Line::Nothing => {}
        }
    }

    /// The shard is not read any more, by this worker at least.
    pub(crate) fn end(&self, shard: &ShardId) {
        self.board().end(shard, Instant::now());
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

// === impl Board ===

impl Board {
    fn undecided(&self) -> u64 {
        let shown: u64 = self.shards.values().map(|entry| entry.in_flight).sum();
        let ended: u64 = self.ended.values().map(|ended| ended.undecided).sum();
        shown + ended
    }

    fn known_until(&self, shard: &ShardId) -> Option<Instant> {
        let now_shown = self.shards.get(shard).and_then(|entry| entry.current_as_of);
        now_shown.or_else(|| self.ended.get(shard).map(|ended| ended.current_as_of))
    }

    /// What is read again is counted again.
    fn forget_undecided(&mut self, shard: &ShardId) {
        if let Some(ended) = self.ended.get_mut(shard) {
            ended.undecided = 0;
        }
        if let Some(entry) = self.shards.get_mut(shard) {
            entry.in_flight = 0;
        }
    }

    fn end(&mut self, shard: &ShardId, now: Instant) {
        self.ended.retain(|_, ended| now.duration_since(ended.current_as_of) < KEEP_ENDED);
        if let Some(entry) = self.shards.remove(shard)
            && let Some(current_as_of) = entry.current_as_of
        {
            self.ended.insert(shard.clone(), Ended { current_as_of, undecided: entry.in_flight });
        }
    }
}

fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
