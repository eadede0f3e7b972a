//! The follower behind `streamdex run`: stands by for the lease of the table, and reads all of its shards while it has it.
//!
//! ```text
//! standby ─▶ lease ─▶ term: heartbeat, and supervisor ─▶ graph ─▶ shard task ─▶ drained ─▶ children ─▶ shard tasks
//!    ▲                   │
//!    └──── lost, or given up
//! ```
//! Everything that takes time is a task; what it comes to is an event, and events are decided on one by one. All tasks of a
//! term are gone before the next one begins.

mod discovery;
mod error;
mod heartbeat;
mod prepare;
mod standby;
mod supervisor;
mod term;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use streamdex_config::{StartPosition, StreamArn};
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::stream::StreamSource;
use tokio_util::sync::CancellationToken;

pub use self::error::FollowError;
pub use self::prepare::{generations, sole_index};
use self::standby::Standby;
use self::term::{Term, TermEnd};
use crate::clock::{Clock, ServiceTime};
use crate::contact::SearchContact;
pub use crate::delivery::{Deliver, Delivered, Undecided};
use crate::graph::Until;
use crate::lease::WorkerId;
use crate::state::writes::Claimant;
use crate::state::{Generations, Progress, StateStore};
use crate::status::LeaseChange;
pub use crate::status::{ShardStatus, Status, StatusBoard};

/// What a follower works with.
#[derive(Clone)]
pub struct Parts {
    /// The stream.
    pub source: Arc<dyn StreamSource>,
    /// What writes the records.
    pub deliver: Arc<dyn Deliver>,
    /// Where progress is kept.
    pub store: Arc<dyn StateStore>,
    /// The indices.
    pub indices: Arc<dyn IndexWatch>,
    /// The worker's clocks.
    pub clock: Arc<dyn Clock>,
    /// Whether OpenSearch answers.
    pub search: SearchContact,
}

/// How a follower works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ARN of the stream.
    pub stream_arn: StreamArn,
    /// This worker.
    pub worker: WorkerId,
    /// What it says of itself when it takes the lease.
    pub claimant: Claimant,
    /// Where a new group begins.
    pub start: StartPosition,
    /// When the work is over.
    pub until: Until,
    /// The generation of each index; see [`generations`].
    pub generations: Generations,
    /// The one index that all routes write to, if there is one; see [`sole_index`].
    pub sole_index: Option<String>,
    /// How old news may be before an idle shard is asked for it.
    pub freshness: Duration,
    /// One-shot commands give up after so long without progress; `None` waits for ever.
    pub patience: Option<Duration>,
    /// Leases that this process has, of other tables too: one that has some lets others go first.
    pub leases: Arc<AtomicUsize>,
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
    /// The state table or the stream cannot be used, another worker has the lease of a one-shot command, or a one-shot
    /// command gave up.
    pub async fn run(self, stop: CancellationToken) -> Result<Followed, FollowError> {
        let ended = Box::pin(self.stand_by_and_read(&stop)).await;
        self.board.over();
        Ok(Followed { end: ended?, status: self.board.snapshot() })
    }

    async fn stand_by_and_read(&self, stop: &CancellationToken) -> Result<FollowEnd, FollowError> {
        let Settings { stream_arn, generations, worker, .. } = &self.settings;
        let time = Arc::new(ServiceTime::new(Arc::clone(&self.parts.clock)));
        let store = Arc::clone(&self.parts.store);
        let progress = Progress::new(store, time, stream_arn.label(), generations.clone(), worker.clone());
        let mut standby = Standby::new(&self.parts, &self.settings, &self.board, &progress);
        loop {
            let lead = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(FollowEnd::Stopped),
                lead = Box::pin(standby.wait_for_the_lease()) => lead?,
            };
            self.board.lease_changed(LeaseChange::Taken);
            let term = Term::new(&self.parts, &self.settings, &self.board, &progress, lead);
            match Box::pin(term.run(stop)).await? {
                TermEnd::Over(end) => return Ok(end),
                TermEnd::Lost => {
                    tracing::warn!("another worker has taken the lease: standing by");
                    self.board.lease_changed(LeaseChange::Lost);
                    standby.got_on();
                }
                TermEnd::GivenUp(why) => {
                    tracing::warn!(reason = why.sentence(), "the lease is given up, so that another worker can go on");
                    self.board.lease_changed(LeaseChange::GivenUp);
                    standby.gave_up();
                }
                TermEnd::OutgrownBy(term) => standby.outgrow(term),
            }
            self.board.stands_by();
        }
    }
}

#[cfg(test)]
mod tests;
