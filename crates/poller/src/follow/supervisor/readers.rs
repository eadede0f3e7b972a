//! The tasks that read shards in a term. A task that fails is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use streamdex_config::StartPosition;
use streamdex_dynamodb::stream::{KEPT_SECONDS, ShardId};
use streamdex_mapping::CreationTime;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::closed::Closed;
use crate::follow::prepare::Ready;
use crate::follow::settings::Settings;
use crate::graph::{Position, ReadFrom, ShardProgress, Until};
use crate::retention::Retained;
use crate::shard::{Activity, Job, ShardEnd, Shared, follow_shard};
use crate::state::writes::FIRST_RUN;
use crate::state::{StoredShard, StreamStart};
use crate::status::Phase;

/// The shards that are read, and what is known of those that are to be.
pub(super) struct Readers {
    shared: Arc<Shared>,
    settings: Settings,
    start: StreamStart,
    /// What the state table held of shards that are not read yet.
    stored: BTreeMap<ShardId, StoredShard>,
    /// Shards whose items cannot be read.
    unreadable: BTreeSet<ShardId>,
    /// Up to when the reader before had read every shard to an empty page, in seconds since 1970.
    swept: Option<u64>,
    /// What the last listing shows as closed.
    closed: Closed,
    /// `--until-end`: the present end.
    end: Option<CreationTime>,
    tasks: JoinSet<ShardEnd>,
    /// The shard of each task.
    shard_of: BTreeMap<Id, ShardId>,
    reading: BTreeMap<ShardId, Reading>,
    /// The number of failures of each shard's task.
    breaks: BTreeMap<ShardId, u32>,
}

struct Reading {
    job: Job,
    activity: Arc<Activity>,
}

/// A shard that is to be read for the first time in this term.
#[derive(Debug, Clone)]
pub(super) struct ToRead {
    pub(super) shard: ShardId,
    pub(super) parent: Option<ShardId>,
    /// Whether the position in its item counts.
    pub(super) position: Position,
    pub(super) is_root: bool,
    /// A child of it is known: it is closed.
    pub(super) has_children: bool,
}

/// The time without any progress after which a task counts as hung, unless it is known to be paused: the deadline of
/// every call is far shorter.
const HANGS: Duration = Duration::from_secs(5 * 60);
/// How long after its end the task of a shard that broke is started again, at first.
const FIRST_RESTART: Duration = Duration::from_secs(1);
const LONGEST_RESTART: Duration = Duration::from_secs(5 * 60);
/// A root that is trimmed so soon after the group began was about to be when it did, and so it is with closed gaps.
const ABOUT_TO_BE_TRIMMED_SECONDS: u64 = 30 * 60;
/// `latest` begins this much earlier, because creation times are rounded down, by some engines to the minute: what is
/// written after the start must never look older than it.
const LATEST_MARGIN_SECONDS: u64 = 90;

impl Readers {
    pub(super) fn new(settings: Settings, shared: Arc<Shared>, swept: Option<u64>, ready: &Ready) -> Readers {
        let now = CreationTime::from_seconds(u32::try_from(ready.now).unwrap_or(u32::MAX));
        Readers {
            end: (settings.until == Until::PresentEnd).then_some(now),
            shared,
            settings,
            start: ready.start.clone(),
            stored: ready.stored.clone(),
            unreadable: ready.unreadable.clone(),
            swept,
            closed: Closed::default(),
            tasks: JoinSet::new(),
            shard_of: BTreeMap::new(),
            reading: BTreeMap::new(),
            breaks: BTreeMap::new(),
        }
    }

    /// Begins to read a shard.
    pub(super) fn read(&mut self, to_read: ToRead) {
        let stored = self.stored.remove(&to_read.shard);
        let job = self.job(to_read, stored.as_ref());
        tracing::debug!(shard = %job.shard, "reading shard");
        self.spawn(job, Duration::ZERO);
    }

    /// Shards that an earlier reader has drained, or whose items cannot be read, are shown from the beginning on.
    pub(super) fn show_what_stands_still(&self) {
        let time = self.shared.progress.time();
        for (shard, stored) in &self.stored {
            if stored.progress == ShardProgress::Drained {
                // When it was drained says nothing: records of its children may be much older than that.
                let current = current_up_to(shard, stored.born, stored.created, (self.swept, time.now()));
                let current = Instant::now().checked_sub(time.age(current));
                self.shared.board.begin(shard, stored.parent.as_ref(), current);
                self.shared.board.phase(shard, Phase::SearchingChildren);
            }
        }
        for shard in &self.unreadable {
            self.shared.board.phase(shard, Phase::Gapped);
        }
    }

    /// The next shard that was read to an end of some kind; `None` where none is being read. Tasks that end otherwise are
    /// started again.
    pub(super) async fn next(&mut self) -> Option<(ShardId, ShardEnd)> {
        loop {
            let ended = self.tasks.join_next_with_id().await?;
            let id = match &ended {
                Ok((id, _)) => *id,
                Err(error) => error.id(),
            };
            let Some(shard) = self.shard_of.remove(&id) else { continue };
            match ended {
                // Killed by the watchdog, or to read again what was sent in part. Nothing else ends a task while the term
                // goes on.
                Ok((_, ShardEnd::Dropped | ShardEnd::Stopped)) => self.start_again(&shard, FIRST_RESTART),
                Ok((_, end)) => {
                    self.reading.remove(&shard);
                    return Some((shard, end));
                }
                // A record that breaks the task of its shard must not take the process down, nor the next reader's.
                Err(_) => self.start_after_a_break(&shard),
            }
        }
    }

    /// Waits for all tasks, whatever they come to.
    pub(super) async fn drain(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Drops all tasks.
    pub(super) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reading.is_empty()
    }

    /// Calls to DynamoDB Streams in an hour, as things are now.
    pub(super) fn calls_per_hour(&self) -> f64 {
        self.reading.values().map(|reading| reading.activity.calls_per_hour()).sum()
    }

    /// A listing shows these as closed.
    pub(super) fn note_closed(&mut self, closed: Closed) {
        self.closed = closed;
        for (shard, reading) in &self.reading {
            self.closed.note(shard, &reading.activity);
        }
    }

    pub(super) fn restart_what_hangs(&mut self) {
        if self.shared.deliver.is_held_back() {
            // Silence while all are held back says nothing, and must not count when that is over.
            self.reading.values().for_each(|reading| reading.activity.note());
            return;
        }
        for (shard, reading) in &self.reading {
            if reading.activity.silent_for() >= HANGS && !reading.job.kill.is_cancelled() {
                self.shared.board.watchdog_restart(shard);
                reading.job.kill.cancel();
            }
        }
    }

    fn spawn(&mut self, job: Job, wait: Duration) {
        let (shared, shard) = (Arc::clone(&self.shared), job.shard.clone());
        self.closed.note(&shard, &job.activity);
        self.reading.insert(shard.clone(), Reading { activity: Arc::clone(&job.activity), job: job.clone() });
        let task = self.tasks.spawn(async move {
            sleep(wait).await;
            Box::pin(follow_shard(job, shared)).await
        });
        self.shard_of.insert(task.id(), shard);
    }

    fn start_after_a_break(&mut self, shard: &ShardId) {
        let breaks = self.breaks.entry(shard.clone()).or_default();
        let doublings = std::mem::replace(breaks, breaks.saturating_add(1)).min(16);
        let wait = FIRST_RESTART.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_RESTART);
        self.shared.board.task_restart(shard, wait);
        self.start_again(shard, wait);
    }

    /// The shard's task ended without an end of the shard: a new one goes on after the last checkpoint.
    fn start_again(&mut self, shard: &ShardId, wait: Duration) {
        let Some(Reading { job, activity }) = self.reading.remove(shard) else { return };
        let stored = activity.stored();
        let from = stored.map_or(job.from.clone(), |checkpoint| ReadFrom::After(checkpoint.position));
        // One that has not begun has nothing on its way.
        let run = if activity.has_begun() { job.run.saturating_add(1) } else { job.run };
        // How far the index is, the board knows: what was stored when the term began may have been wrong.
        let activity = Arc::new(activity.of_the_next_task());
        let job = Job { from, run, current_as_of: None, kill: CancellationToken::new(), activity, ..job };
        self.spawn(job, wait);
    }

    fn job(&self, to_read: ToRead, stored: Option<&StoredShard>) -> Job {
        let ToRead { shard, parent, position, is_root, has_children } = to_read;
        let activity = Arc::<Activity>::default();
        if has_children {
            activity.close();
        }
        let now = self.shared.progress.time().now();
        let never_begun = stored.is_none_or(|stored| stored.term.is_none());
        let stored_position = stored.and_then(|stored| match &stored.progress {
            ShardProgress::Open(at) if position == Position::Counts => at.clone(),
            _ => None,
        });
        // A root was promised from the start on, whenever its item was made, and what a closed gap was about from then on:
        // both begin with what is left of them.
        let resumed = stored.filter(|stored| stored.resumes).map(|stored| stored.born);
        let promised = resumed.or(is_root.then_some(self.start.at));
        let born = promised.or(stored.map(|stored| stored.born)).unwrap_or(now);
        let arn = &self.settings.stream_arn;
        let retained = match promised {
            Some(promised) => Retained::since(promised.max(self.swept.unwrap_or(0)), arn),
            None => Retained::of_shard(&shard, born, self.swept, self.start.at, arn),
        };
        let from = match stored_position {
            Some(position) => ReadFrom::After(position),
            None if promised.is_some() && never_begun => ReadFrom::Oldest,
            None => ReadFrom::Beginning,
        };
        let created = stored.filter(|_| matches!(from, ReadFrom::After(_))).and_then(|stored| stored.created);
        let current = current_up_to(&shard, born, created, (self.swept, now));
        let is_recent = |promised: u64| now.saturating_sub(promised) < ABOUT_TO_BE_TRIMMED_SECONDS;
        let may_be_gone = never_begun && promised.is_some_and(is_recent);
        Job {
            current_as_of: Instant::now().checked_sub(self.shared.progress.time().age(current)),
            shard,
            parent,
            from,
            run: FIRST_RUN,
            kill: CancellationToken::new(),
            activity,
            retained,
            floor: self.floor(),
            end: self.end,
            may_be_gone,
        }
    }

    /// Under `latest`, shards are read from their oldest record, and what was created before the start is
    /// passed over.
    fn floor(&self) -> Option<CreationTime> {
        let seconds = u32::try_from(self.start.at.saturating_sub(LATEST_MARGIN_SECONDS)).ok()?;
        (self.start.position == StartPosition::Latest).then(|| CreationTime::from_seconds(seconds))
    }
}

/// Up to when the index shows everything of a shard whose item is of the time `born`, and of what comes after it, in
/// seconds since 1970: up to the last record that is acknowledged, or to when the reader before had read everything.
/// Its records are not older than the shard itself, nor than the retention of the stream.
fn current_up_to(shard: &ShardId, born: u64, created: Option<CreationTime>, (swept, now): (Option<u64>, u64)) -> u64 {
    let oldest = shard.opened().unwrap_or(born).max(now.saturating_sub(KEPT_SECONDS));
    oldest.max(swept.unwrap_or(0)).max(created.map_or(0, |created| u64::from(created.seconds())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60;

    #[test]
    fn a_shard_that_was_drained_late_does_not_make_its_children_young() {
        let opened = 1_800_000_000;
        let shard = ShardId::new("shardId-00000001800000000123-0a1b2c3d");
        let (now, born) = (opened + 5 * HOUR, opened + 4 * HOUR);
        let created = |seconds| Some(CreationTime::from_seconds(seconds));
        let rows = [
            ("nothing is known", None, None, opened),
            ("its last record is acknowledged", created(1_800_000_600), None, opened + 600),
            ("everything was read once", created(1_800_000_600), Some(opened + HOUR), opened + HOUR),
        ];
        for (row, created, swept, expected) in rows {
            assert_eq!(current_up_to(&shard, born, created, (swept, now)), expected, "{row}");
        }
        let later = now + 48 * HOUR;
        assert_eq!(current_up_to(&shard, born, None, (None, later)), later - KEPT_SECONDS);
        assert_eq!(current_up_to(&ShardId::new("shardId-17"), born, None, (None, now)), born);
    }
}
