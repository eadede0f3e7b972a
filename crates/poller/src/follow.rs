//! The follower behind `streamdex run`: stands by for the lease of the table, and reads all of its shards while it has it.
//!
//! ```text
//! standby ─▶ lease ─▶ term: heartbeat, and supervisor ─▶ graph ─▶ shard task ─▶ drained ─▶ children ─▶ shard tasks
//!    ▲                   │
//!    └──── lost, or given up
//! ```
//! Everything that takes time is a task. Its result is an event, and events are handled one by one. All tasks of a term
//! have ended before the next term begins.

mod discovery;
mod error;
mod heartbeat;
mod prepare;
mod settings;
mod standby;
mod supervisor;
mod term;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use self::error::FollowError;
pub use self::prepare::{generations, sole_index};
pub use self::settings::{FollowEnd, Parts, Settings};
use self::standby::Standby;
use self::term::{Before, Term, TermEnd};
use crate::clock::ServiceTime;
pub use crate::delivery::{Deliver, Delivered, Undecided};
use crate::state::Progress;
use crate::status::LeaseChange;
pub use crate::status::{ShardStatus, Status, StatusBoard};

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

// === impl Follower ===

impl Follower {
    /// A follower that has not begun.
    pub fn new(parts: Parts, settings: Settings) -> Follower {
        Follower::on(StatusBoard::default(), parts, settings)
    }

    /// A follower that shows what it does on a board that earlier ones of the same source may have had.
    pub fn on(board: StatusBoard, parts: Parts, settings: Settings) -> Follower {
        board.stands_by();
        Follower { parts, settings, board }
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
            let number = lead.taken.lease.term;
            let term = Term::new(&self.parts, &self.settings, &self.board, &progress, lead);
            match Box::pin(term.run(stop)).await? {
                TermEnd::Over(end) => return Ok(end),
                TermEnd::Lost => {
                    tracing::warn!("another worker took the lease: standing by");
                    self.board.lease_changed(LeaseChange::Lost);
                    standby.got_on();
                }
                TermEnd::GivenUp(why, before) => {
                    if before == Before::Progress {
                        standby.got_on();
                    }
                    tracing::warn!(reason = why.sentence(), "giving up the lease, so that another worker can continue");
                    self.board.lease_changed(LeaseChange::GivenUp);
                    self.board.given_up(why.sentence(), standby.gave_up(number, why));
                }
                TermEnd::OutgrownBy(term) => standby.outgrow(term),
            }
            self.board.stands_by();
        }
    }
}

#[cfg(test)]
mod tests;
