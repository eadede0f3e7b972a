//! The supervisor behind `streamdex run`: a heartbeat, leases, and one task per shard that this worker reads.
//!
//! ```text
//! heartbeat ─▶ pulse ─▶ graph, plan ─▶ claim ─▶ shard task ─▶ drained ─▶ children ─▶ succeed ─▶ shard tasks
//! ```
//! Everything that takes time is a task; what it comes to is an event, and events are decided on one by one.

pub(crate) mod confirm;
pub mod delivery;
mod discovery;
mod error;
mod heartbeat;
mod leases;
mod prepare;
pub mod status;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{StartPosition, StreamArn};
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::stream::StreamSource;
use tokio_util::sync::CancellationToken;

pub use self::delivery::{Deliver, Delivered, Undecided};
pub use self::error::FollowError;
pub use self::prepare::{generations, sole_index};
pub use self::status::{ShardStatus, Status, StatusBoard};
use self::supervisor::Supervisor;
use crate::clock::Clock;
use crate::graph::Until;
use crate::state::{Generations, ProgressStore};

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
    /// The worker's clocks.
    pub clock: Arc<dyn Clock>,
}

/// How a follower works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ARN of the stream.
    pub stream_arn: StreamArn,
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
    /// The state table or the stream cannot be used, or a one-shot command gave up.
    pub async fn run(self, stop: CancellationToken) -> Result<Followed, FollowError> {
        let board = self.board.clone();
        let prepared = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            prepared = Box::pin(prepare::prepare(&self.parts, &self.settings, &self.board)) => Some(prepared?),
        };
        let end = match prepared {
            None => FollowEnd::Stopped,
            Some(prepare::Prepared::OnlyGaps) => FollowEnd::OnlyGaps,
            Some(prepare::Prepared::Ready(ready)) => Box::pin(Supervisor::new(self, *ready).run(stop)).await?,
        };
        board.over();
        Ok(Followed { end, status: board.snapshot() })
    }
}

#[cfg(test)]
mod tests;
