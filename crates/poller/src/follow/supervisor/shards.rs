//! The life of one shard in a term: read, drained, started again where its task broke.

use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;
use streamdex_sink::index::VanishedIndex;
use tokio::task::{Id, JoinError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{ONLY_GAPS, Outcome, Supervised, Supervisor};
use crate::follow::FollowError;
use crate::gap::{Gap, GapKind};
use crate::graph::{Position, ReadFrom, ShardProgress};
use crate::retention::Retained;
use crate::shard::{Activity, Job, ShardEnd, follow_shard};
use crate::state::StoredShard;
use crate::state::writes::FIRST_RUN;
use crate::status::Phase;

/// A shard that a task reads.
pub(super) struct Reading {
    job: Job,
    pub(super) activity: Arc<Activity>,
}

/// A task that comes to the end of nothing for so long, and is not held back by something known, hangs: every
/// call has a deadline far below.
const HANGS: Duration = Duration::from_secs(5 * 60);
/// How long after its end the task of a shard that broke is started again, at first.
const FIRST_RESTART: Duration = Duration::from_secs(1);
const LONGEST_RESTART: Duration = Duration::from_secs(5 * 60);
/// A root that is trimmed so soon after the group began was about to be when it did.
const ABOUT_TO_BE_TRIMMED_SECONDS: u64 = 30 * 60;
const RETENTION_SECONDS: u64 = 24 * 60 * 60;

impl Supervisor {
    /// Reads a shard for the first time in this term.
    pub(super) fn read(&mut self, shard: ShardId, parent: Option<ShardId>, position: Position) {
        let stored = self.stored.remove(&shard);
        let job = self.job(shard, parent, stored.as_ref(), position);
        tracing::debug!(shard = %job.shard, "reading shard");
        self.spawn(job, Duration::ZERO);
    }

    fn job(&self, shard: ShardId, parent: Option<ShardId>, stored: Option<&StoredShard>, position: Position) -> Job {
        let now = self.shared.progress.time().now();
        let is_root = self.graph.is_root(&shard);
        let never_begun = stored.is_none_or(|stored| stored.term.is_none());
        let stored_position = stored.and_then(|stored| match &stored.progress {
            ShardProgress::Open(at) if position == Position::Counts => at.clone(),
            _ => None,
        });
        let born = stored.map_or(now, |stored| stored.born);
        let arn = &self.settings.stream_arn;
        let retained = match is_root {
            // A group begins with what is left of its roots.
            true => Retained::since(born.max(self.swept.unwrap_or(0)), arn),
            false => Retained::of_shard(&shard, born, self.swept, self.start.at, arn),
        };
        let from = match stored_position {
            Some(position) => ReadFrom::After(position),
            None if is_root && never_begun => ReadFrom::Oldest,
            None => ReadFrom::Beginning,
        };
        // Nothing that it holds is older than the shard itself, or than what a stream keeps.
        let oldest = shard.opened().unwrap_or(born).max(now.saturating_sub(RETENTION_SECONDS));
        let created = stored.filter(|_| matches!(from, ReadFrom::After(_))).and_then(|stored| stored.created);
        let current =
            oldest.max(self.swept.unwrap_or(0)).max(created.map_or(0, |created| u64::from(created.seconds())));
        let may_be_gone = is_root && never_begun && now.saturating_sub(self.start.at) < ABOUT_TO_BE_TRIMMED_SECONDS;
        Job {
            current_as_of: Instant::now().checked_sub(self.shared.progress.time().age(current)),
            shard,
            parent,
            from,
            run: FIRST_RUN,
            kill: CancellationToken::new(),
            activity: Arc::default(),
            retained,
            floor: self.floor(),
            end: self.end,
            may_be_gone,
        }
    }

    fn spawn(&mut self, job: Job, wait: Duration) {
        let (shared, shard) = (Arc::clone(&self.shared), job.shard.clone());
        self.closed.note(&shard, &job.activity);
        let reading = Reading { activity: Arc::clone(&job.activity), job: job.clone() };
        self.reading.insert(shard.clone(), reading);
        let task = self.tasks.spawn(async move {
            sleep(wait).await;
            Box::pin(follow_shard(job, shared)).await
        });
        self.shard_of.insert(task.id(), shard);
    }

    /// The shard's task ended without an end of the shard: a new one goes on after the last checkpoint.
    fn start_again(&mut self, shard: &ShardId, wait: Duration) {
        let Some(Reading { job, activity }) = self.reading.remove(shard) else { return };
        let stored = activity.stored();
        let from = stored.map_or(job.from.clone(), |checkpoint| ReadFrom::After(checkpoint.position));
        let job = Job {
            from,
            run: job.run.saturating_add(1),
            kill: CancellationToken::new(),
            activity: Arc::default(),
            ..job
        };
        self.spawn(job, wait);
    }

    pub(super) fn task_ended(&mut self, ended: Result<(Id, ShardEnd), JoinError>) -> Result<Outcome, FollowError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(shard) = self.shard_of.remove(&id) else { return Ok(None) };
        match ended {
            Ok((_, end)) => self.shard_ended(shard, end),
            Err(_) => {
                // A record that breaks the task of its shard must not take the process down, nor the next reader's.
                let runs = self.reading.get(&shard).map_or(FIRST_RUN, |reading| reading.job.run);
                let doublings = u32::try_from(runs.saturating_sub(FIRST_RUN)).unwrap_or(u32::MAX).min(16);
                let wait = FIRST_RESTART.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_RESTART);
                self.shared.board.task_restart(&shard, wait);
                self.start_again(&shard, wait);
                Ok(None)
            }
        }
    }

    fn shard_ended(&mut self, shard: ShardId, end: ShardEnd) -> Result<Outcome, FollowError> {
        match end {
            ShardEnd::GaveUp { message, hint } => return Err(FollowError::GaveUp { message, hint }),
            ShardEnd::Gap(gap) => {
                self.stand_still(&shard);
                self.record(gap);
            }
            ShardEnd::IndexLost(lost) => {
                self.stand_still(&shard);
                return Ok(self.indices_lost(&lost));
            }
            ShardEnd::Drained => {
                tracing::debug!(%shard, "shard is read to its end");
                self.reading.remove(&shard);
                let commands = self.graph.drained(&shard);
                self.obey(commands);
            }
            ShardEnd::AtEnd => {
                self.reading.remove(&shard);
                self.shared.board.end(&shard);
                self.graph.at_end(&shard);
            }
            ShardEnd::LeaseLost => return Ok(Some(Supervised::Lost)),
            // Killed by the watchdog. Nothing else ends a task while the term goes on.
            ShardEnd::Dropped | ShardEnd::Stopped => self.start_again(&shard, FIRST_RESTART),
        }
        Ok(None)
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

    fn stand_still(&mut self, shard: &ShardId) {
        self.reading.remove(shard);
        self.graph.gapped(shard);
        self.shared.board.phase(shard, Phase::Gapped);
    }

    fn indices_lost(&mut self, lost: &[VanishedIndex]) -> Outcome {
        for vanished in lost {
            let detail = match &vanished.found_uuid {
                Some(found) => format!(
                    "it had the UUID {}; the index of that name with the UUID {found} is left alone",
                    vanished.expected_uuid
                ),
                None => format!("it had the UUID {}", vanished.expected_uuid),
            };
            self.record(Gap::new(GapKind::IndexVanished, &vanished.concrete).with_detail(detail));
        }
        let sole = self.settings.sole_index.as_deref();
        if lost.iter().any(|vanished| sole == Some(vanished.index.as_str())) { ONLY_GAPS } else { None }
    }
}
