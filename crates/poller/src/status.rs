//! The status of a follower, for people and metrics.

mod board;
mod entry;
mod fill;
mod lag;
mod rate;
mod said;
mod summary;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamdex_delivery::backfill::BackfillRecord;
use streamdex_dynamodb::stream::{KEPT_SECONDS, ShardId};
use streamdex_mapping::{Outcome, Tally};
use tokio::time::Instant;

use self::board::Board;
use self::entry::Entry;
pub use self::fill::{BackfillReport, Fill, partial};
use self::said::Line;
pub use self::summary::Summary;
pub use self::view::{Call, Counters, Following, LastError, LeaseChange, Phase, Role, ShardStatus, Status};
use crate::gap::Gap;

/// Where shard tasks note what they do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusBoard(Arc<Mutex<Board>>);

/// Children begin within a day, or meet a gap.
const KEEP_ENDED: Duration = Duration::from_secs(KEPT_SECONDS);

// === impl StatusBoard ===

impl Default for StatusBoard {
    fn default() -> StatusBoard {
        StatusBoard(Arc::new(Mutex::new(Board::default())))
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
            gaps: board.gaps.iter().cloned().collect(),
            fill: board.fill.clone(),
            paused: board.paused.clone(),
            role: board.role.clone(),
            heartbeat_age: board.beat.map(|beat| now.duration_since(beat)),
            given_up: board.given_up.filter(|(_, until)| now < *until).map(|(why, _)| why),
            lease_seen: board.lease_seen.map(|seen| now.duration_since(seen)),
            stream_silence: board.stream_silence,
            turned: board.turned.map(|turned| now.duration_since(turned)),
            is_over: board.is_over,
            projected_calls: board.projected_calls,
            prefetched: board.prefetched,
            counters: board.counters.clone(),
        }
    }

    /// What the state table says of the backfill of the table.
    pub fn fill(&self, record: Option<BackfillRecord>) {
        self.board().fill = record.into();
    }

    /// What a heartbeat says of this worker, and of what the writer of all tables holds back: JSON of less than 1 KB.
    pub(crate) fn summary(&self, held_back: Option<String>) -> String {
        let summary = Summary::of(&self.snapshot());
        Summary { pause: summary.pause.clone().or(held_back), ..summary }.to_json()
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
        let mut board = self.board();
        (board.turned, board.beat, board.is_over) = (None, None, true);
        (board.role.term, board.role.reader) = (None, None);
    }

    /// Who reads the table, as far as this worker knows.
    pub(crate) fn role(&self, role: Role) {
        self.board().role = role;
    }

    /// This worker does not read any more: the next reader counts its undecided records.
    pub(crate) fn stands_by(&self) {
        let mut board = self.board();
        board.is_over = false;
        (board.role.term, board.role.reader) = (None, None);
        let shards: Vec<ShardId> = board.shards.keys().cloned().collect();
        for shard in shards {
            board.forget_undecided(&shard);
            board.end(&shard);
        }
        board.ended.values_mut().for_each(|ended| ended.undecided = 0);
        (board.beat, board.stream_silence) = (None, Duration::ZERO);
        board.projected_calls = 0.0;
        board.prefetched = 0;
        // Gaps are the reader's to show: they may be closed while another one reads.
        board.gaps.clear();
        board.fill = Fill::Unknown;
    }

    /// This worker gave the lease up, and lets others go first for so long.
    pub(crate) fn given_up(&self, why: &'static str, others_first: Duration) {
        self.board().given_up = Some((why, Instant::now() + others_first));
    }

    /// A standby has looked at the lease.
    pub(crate) fn lease_seen(&self) {
        self.board().lease_seen = Some(Instant::now());
    }

    /// How long DynamoDB Streams has not answered this reader.
    pub(crate) fn stream_silence(&self, silence: Duration) {
        self.board().stream_silence = silence;
    }

    /// A beat is confirmed; `begun` is when its write was started.
    pub(crate) fn beat_confirmed(&self, begun: Instant) {
        self.board().beat = Some(begun);
    }

    /// This worker's beat was not confirmed in time, and it writes nothing until one is.
    pub(crate) fn tenure_lapsed(&self) {
        self.board().counters.tenure_lapses += 1;
    }

    /// The lease has come to this worker, or gone.
    pub(crate) fn lease_changed(&self, change: LeaseChange) {
        let mut board = self.board();
        *board.counters.lease_changes.entry(change).or_default() += 1;
        if change == LeaseChange::Taken {
            board.given_up = None;
        }
    }

    /// How long ago the last confirmed beat was begun.
    pub(crate) fn beat_age(&self) -> Option<Duration> {
        self.board().beat.map(|beat| beat.elapsed())
    }

    /// Whether everything that every shard holds is acknowledged.
    pub(crate) fn is_caught_up(&self) -> bool {
        let (board, now) = (self.board(), Instant::now());
        let freshness = board.following.freshness;
        board.shards.values().all(|entry| entry.phase == Phase::Gapped || entry.is_caught_up(freshness, now))
    }

    /// Records that were taken up and have no outcome.
    pub(crate) fn undecided(&self) -> u64 {
        self.board().undecided()
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
        self.board().gaps.insert(gap.clone());
    }

    /// These gaps are recorded, and no others.
    pub(crate) fn recorded<'g>(&self, gaps: impl Iterator<Item = &'g Gap>) {
        self.board().gaps = gaps.cloned().collect();
    }

    // --- one shard ---

    /// A shard is being read from now on. The state table says that the index is current as of `stored`; this worker may
    /// know better, where it has read the shard or its parent before.
    /// Returns up to when the index is taken to show everything of it.
    pub(crate) fn begin(&self, shard: &ShardId, parent: Option<&ShardId>, stored: Option<Instant>) -> Instant {
        let now = Instant::now();
        let mut board = self.board();
        let before = board.known_until(shard).or_else(|| board.known_until(parent?)).max(stored);
        board.forget_undecided(shard);
        if let Some(parent) = parent
            && board.shards.get(parent).is_some_and(|entry| entry.phase == Phase::SearchingChildren)
        {
            board.end(parent);
        }
        let mut entry = Entry::new(Phase::Reading, now);
        entry.polled = Some(now);
        entry.parent = parent.cloned();
        let current_as_of = before.unwrap_or(now);
        entry.current_as_of = Some(current_as_of);
        board.shards.insert(shard.clone(), entry);
        current_as_of
    }

    /// Something else is going on with the shard. A shard that nothing was known of is shown from now on.
    ///
    /// [`Phase::Waiting`] is also for a shard whose task has ended and is to be started again: its lag grows on.
    pub(crate) fn phase(&self, shard: &ShardId, phase: Phase) {
        let now = Instant::now();
        let mut board = self.board();
        let before = board.known_until(shard);
        let entry = board.shards.entry(shard.clone()).or_insert_with(|| Entry::new(phase, now));
        entry.phase = phase;
        entry.current_as_of = entry.current_as_of.or(before);
        if phase != Phase::Reading {
            entry.caught_up = false;
            entry.paused = None;
        }
    }

    /// A page with records has come: until they are written, the index is behind.
    pub(crate) fn page_came(&self, shard: &ShardId) {
        self.entry(shard, |entry| entry.pages += 1);
    }

    /// All records of a page have their outcomes.
    pub(crate) fn page_written(&self, shard: &ShardId) {
        self.entry(shard, |entry| entry.pages = entry.pages.saturating_sub(1));
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

    /// The shard's task made no progress, though there was work, and is started again.
    pub(crate) fn watchdog_restart(&self, shard: &ShardId) {
        self.board().counters.watchdog_restarts += 1;
        tracing::warn!(%shard, "the shard made no progress although there was work: starting it again");
    }

    /// The shard's task panicked, and is started again after this time.
    pub(crate) fn task_restart(&self, shard: &ShardId, wait: Duration) {
        self.board().counters.task_restarts += 1;
        let message = "the shard's task failed, which is a bug";
        let hint = "please report it with the log; the shard is tried again, and the other shards continue";
        tracing::error!(%shard, seconds = wait.as_secs(), hint, "the task of a shard failed and is started again");
        self.error(shard, message, hint);
        self.pause(shard, Some(message.to_owned()));
    }

    /// A checkpoint is stored.
    pub(crate) fn checkpointed(&self) {
        self.board().counters.checkpoints += 1;
    }

    /// Everything up to a record that is so old is acknowledged, and there may be more.
    pub(crate) fn acknowledged(&self, shard: &ShardId, age: Duration) {
        let now = Instant::now();
        self.entry(shard, |entry| {
            entry.current_as_of = entry.current_as_of.max(now.checked_sub(age));
            entry.caught_up = false;
        });
    }

    /// A record that is so old came, and the index was taken to show everything of its time.
    pub(crate) fn revoke_current(&self, shard: &ShardId, age: Duration) {
        let now = Instant::now();
        self.entry(shard, |entry| {
            let created = now.checked_sub(age);
            entry.current_as_of =
                entry.current_as_of.map_or(created, |current| created.map(|created| created.min(current)));
            entry.caught_up = false;
            entry.revoked = Some(now);
        });
    }

    /// Everything there was at this moment is acknowledged, unless an older record came since.
    pub(crate) fn current(&self, shard: &ShardId, as_of: Instant) {
        self.entry(shard, |entry| {
            if entry.revoked.is_some_and(|revoked| as_of <= revoked) {
                return;
            }
            entry.current_as_of = Some(as_of);
            entry.caught_up = true;
        });
    }

    /// More waits than one page holds.
    pub(crate) fn behind(&self, shard: &ShardId) {
        self.entry(shard, |entry| entry.caught_up = false);
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
        self.board().end(shard);
    }

    /// Forgets shards that ended so long ago that no shard continues from them. Once in a while: it looks at all.
    pub(crate) fn forget_what_ended_long_ago(&self) {
        let now = Instant::now();
        self.board().ended.retain(|_, ended| now.duration_since(ended.current_as_of) < KEEP_ENDED);
    }

    fn entry(&self, shard: &ShardId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.board().shards.get_mut(shard) {
            change(entry);
        }
    }

    /// A panic under the lock leaves no inconsistent state that matters here.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
