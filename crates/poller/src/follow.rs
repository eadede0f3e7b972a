//! The supervisor behind `streamdex run`: one task per open shard, and the graph that starts them.

pub(crate) mod confirm;
pub mod delivery;
mod discovery;
mod error;
mod prepare;
pub mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamdex_config::StartPosition;
use streamdex_mapping::CreationTime;
use streamdex_sink::index::VanishedIndex;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use self::confirm::Confirm;
pub use self::delivery::{Deliver, Delivered, IndexSetup, IndexWatch, Undecided};
use self::discovery::{Discovered, Discovery};
pub use self::error::FollowError;
pub use self::prepare::{generations, sole_index};
pub use self::status::{ShardStatus, Status, StatusBoard};
use crate::gap::{Gap, GapKind};
use crate::graph::{Command, Progress, ShardGraph, Until, seek_delay};
use crate::shard::{Job, ShardEnd, Shared, follow_shard};
use crate::state::{Generations, Loaded, ProgressStore, StreamStart};
use crate::stream::{ShardId, StreamSource, StreamStatus};

/// What a follower works with.
pub struct Parts {
    /// The stream.
    pub source: Arc<dyn StreamSource>,
    /// What writes the records.
    pub deliver: Arc<dyn Deliver>,
    /// Where progress is kept.
    pub store: Arc<dyn ProgressStore>,
    /// The indices.
    pub indices: Arc<dyn IndexWatch>,
}

/// How a follower works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ARN of the stream.
    pub stream_arn: String,
    /// Where a new group begins.
    pub start: StartPosition,
    /// When the work is over.
    pub until: Until,
    /// The generation of each index; see [`generations`].
    pub generations: Generations,
    /// The one index that all routes write to, if there is one; see [`sole_index`].
    pub sole_index: Option<String>,
    /// One-shot commands give up after so long without progress; `None` waits for ever.
    pub patience: Option<Duration>,
    /// Fixes the jitter.
    pub seed: u64,
}

/// Follows one stream.
pub struct Follower {
    parts: Parts,
    settings: Settings,
    board: StatusBoard,
}

/// How the following ended.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Why.
    pub end: FollowEnd,
    /// What was done.
    pub status: Status,
}

/// Why the following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowEnd {
    /// It was asked to stop.
    Stopped,
    /// The present end was reached.
    PresentEnd,
    /// Only lineages with gaps are left, or an index that all of them need is lost (exit status 4).
    OnlyGaps,
}

/// Pages of all shards that are asked for or held at once: at most so many MB of records.
const PAGES_AT_ONCE: usize = 64;
/// A running page gets so long after a stop was asked for; the rest of 10 s is for checkpoints.
const FINISH_PAGE: Duration = Duration::from_secs(6);
const STOP_WITHIN: Duration = Duration::from_millis(9_500);
const BETWEEN_LISTINGS: Duration = Duration::from_secs(60);
const LIST_AGAIN: Duration = Duration::from_secs(1);
/// `latest` begins this much earlier, because creation times are rounded down, by some engines to the
/// minute: what is written after the start must never look older than it.
const LATEST_MARGIN_SECONDS: u64 = 90;

// === impl Follower ===

impl Follower {
    /// A follower that has not begun.
    pub fn new(parts: Parts, settings: Settings) -> Follower {
        Follower { parts, settings, board: StatusBoard::default() }
    }

    /// Where to look at what it does.
    pub fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    /// Follows the stream until it ends, or `stop` is cancelled: then within 10 s.
    ///
    /// # Errors
    /// The state table or the stream cannot be used, or a one-shot command gave up.
    pub async fn run(self, stop: CancellationToken) -> Result<Followed, FollowError> {
        let board = self.board.clone();
        let prepared = tokio::select! {
            () = stop.cancelled() => None,
            prepared = Box::pin(prepare::prepare(&self.parts, &self.settings, &self.board)) => Some(prepared?),
        };
        let end = match prepared {
            None => FollowEnd::Stopped,
            Some(prepare::Prepared::OnlyGaps) => FollowEnd::OnlyGaps,
            Some(prepare::Prepared::Ready { loaded, start, graph }) => {
                Box::pin(Supervisor::new(self, &loaded, start, graph).run(stop)).await?
            }
        };
        Ok(Followed { end, status: board.snapshot() })
    }
}

struct Supervisor {
    shared: Arc<Shared>,
    settings: Settings,
    start: StreamStart,
    roots: BTreeSet<ShardId>,
    graph: ShardGraph,
    shards: JoinSet<(ShardId, ShardEnd)>,
    discovery: Discovery,
    next_listing: Instant,
    end: Option<CreationTime>,
}

impl Supervisor {
    fn new(follower: Follower, loaded: &Loaded, start: StreamStart, graph: ShardGraph) -> Supervisor {
        let Follower { parts, settings, board } = follower;
        let confirm = Confirm::new(parts.indices, Arc::clone(&parts.store), &loaded.indices);
        let discovery =
            Discovery::new(Arc::clone(&parts.source), Arc::clone(&parts.store), board.clone(), settings.patience);
        let shared = Shared {
            source: parts.source,
            deliver: parts.deliver,
            store: parts.store,
            confirm,
            board,
            stream_arn: settings.stream_arn.clone(),
            pages: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            patience: settings.patience,
            seed: settings.seed,
        };
        Supervisor {
            shared: Arc::new(shared),
            roots: start.roots.iter().cloned().collect(),
            start,
            graph,
            shards: JoinSet::new(),
            discovery,
            next_listing: Instant::now(),
            end: (settings.until == Until::PresentEnd).then(now),
            settings,
        }
    }

    async fn run(mut self, stop: CancellationToken) -> Result<FollowEnd, FollowError> {
        let end = self.follow(&stop).await;
        self.wind_down().await;
        end
    }

    async fn follow(&mut self, stop: &CancellationToken) -> Result<FollowEnd, FollowError> {
        loop {
            let listing_due = !self.discovery.is_listing();
            let over = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(FollowEnd::Stopped),
                Some(ended) = self.shards.join_next() => self.shard_ended(ended)?,
                Some(discovered) = self.discovery.next() => self.discovered(discovered?)?,
                () = sleep_until(self.next_listing), if listing_due => {
                    self.next_listing = Instant::now() + BETWEEN_LISTINGS;
                    self.discovery.list();
                    None
                }
            };
            if over.is_some() {
                return Ok(FollowEnd::OnlyGaps);
            }
            match self.graph.progress() {
                Progress::Going => {}
                Progress::Complete => return Ok(FollowEnd::PresentEnd),
                // Shards that were found by name alone may still be on their way.
                Progress::OnlyGaps if self.shards.is_empty() => return Ok(FollowEnd::OnlyGaps),
                Progress::OnlyGaps => {}
            }
        }
    }

    fn shard_ended(&mut self, ended: Result<(ShardId, ShardEnd), JoinError>) -> Result<Option<AllLost>, FollowError> {
        let (shard, end) = ended.map_err(|_| FollowError::Broken)?;
        match end {
            ShardEnd::Drained => {
                tracing::debug!(%shard, "shard is read to its end");
                let commands = self.graph.finished(&shard);
                self.obey(commands);
            }
            ShardEnd::AtEnd => self.graph.at_end(&shard),
            ShardEnd::Gap(gap) => {
                self.graph.gapped(&shard);
                self.record(gap);
            }
            ShardEnd::IndexLost(lost) => {
                self.graph.gapped(&shard);
                return Ok(self.indices_lost(&lost));
            }
            // Only at a stop, and then nobody asks any more.
            ShardEnd::Stopped => {}
            ShardEnd::GaveUp { message, hint } => return Err(FollowError::GaveUp { message, hint }),
        }
        Ok(None)
    }

    fn discovered(&mut self, discovered: Discovered) -> Result<Option<AllLost>, FollowError> {
        match discovered {
            Discovered::Shards { shards, status } => {
                let commands = self.graph.listed(&shards);
                self.obey(commands);
                if status == StreamStatus::Disabled && self.graph.is_drained() {
                    self.discovery.ask_for_the_current_stream();
                }
            }
            Discovered::StreamGone => {
                let gap = Gap::new(GapKind::StreamVanished, &self.settings.stream_arn);
                self.record(gap);
                return Ok(Some(AllLost));
            }
            Discovered::Children { parent, children } => {
                let commands = self.graph.children(&parent, &children);
                self.obey(commands);
            }
            Discovered::CurrentStream(Some(current)) if current != self.settings.stream_arn => {
                let gap =
                    Gap::new(GapKind::StreamReplaced, &self.settings.stream_arn).with_detail(format!("now {current}"));
                self.record(gap);
                return Ok(Some(AllLost));
            }
            Discovered::CurrentStream(_) => {
                self.shared.board.pause_all(Some("the stream is switched off and read to its end".to_owned()));
            }
            Discovered::Recorded => {}
            Discovered::GaveUp(error) => return Err(FollowError::Aws(error)),
        }
        Ok(None)
    }

    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Start { shard, parent, from } => {
                    let floor = self.floor(&shard);
                    let job = Job { shard, parent, from, floor, end: self.end };
                    tracing::debug!(shard = %job.shard, "reading shard");
                    let shared = Arc::clone(&self.shared);
                    self.shards.spawn(async move {
                        let shard = job.shard.clone();
                        (shard, Box::pin(follow_shard(job, shared)).await)
                    });
                }
                Command::SeekChildren { parent, attempt } => self.discovery.seek(parent, seek_delay(attempt)),
                Command::Gap { shard, kind } => self.record(Gap::new(kind, shard.as_str())),
                Command::ListAgain => self.next_listing = self.next_listing.min(Instant::now() + LIST_AGAIN),
            }
        }
    }

    /// Under `latest`, shards that were there at the start are read from their oldest record, and what
    /// was created before the start is passed over. Later shards hold nothing older.
    fn floor(&self, shard: &ShardId) -> Option<CreationTime> {
        let applies = self.start.position == StartPosition::Latest && self.roots.contains(shard);
        let seconds = u32::try_from(self.start.at.saturating_sub(LATEST_MARGIN_SECONDS)).ok()?;
        applies.then(|| CreationTime::from_seconds(seconds))
    }

    fn indices_lost(&mut self, lost: &[VanishedIndex]) -> Option<AllLost> {
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
        lost.iter().any(|vanished| sole == Some(vanished.index.as_str())).then_some(AllLost)
    }

    fn record(&mut self, gap: Gap) {
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "{gap}");
        self.shared.board.gap(&gap);
        self.discovery.record(gap);
    }

    /// Stops every task: the page in hand may end, then checkpoints are written.
    async fn wind_down(&mut self) {
        let asked = Instant::now();
        self.shared.stop.cancel();
        let abort = self.shared.abort.clone();
        let drain = async {
            while self.shards.join_next().await.is_some() {}
            self.discovery.finish_records().await;
        };
        let finish = async {
            sleep_until(asked + FINISH_PAGE).await;
            abort.cancel();
            sleep_until(asked + STOP_WITHIN).await;
        };
        tokio::select! {
            () = drain => {}
            () = finish => tracing::warn!("tasks were left behind after 9.5 s; the work goes on from the last checkpoint at the next start"),
        }
        let _ = timeout_at(asked + STOP_WITHIN, self.shards.shutdown()).await;
    }
}

/// Nothing can go on.
struct AllLost;

fn now() -> CreationTime {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    CreationTime::from_seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
