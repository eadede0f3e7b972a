//! The parts and settings of a follower, and how its work ends.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use streamdex_config::{StartPosition, StreamArn};
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::stream::StreamSource;

use crate::beside::Beside;
use crate::clock::Clock;
use crate::contact::SearchContact;
use crate::delivery::Deliver;
use crate::graph::Until;
use crate::lease::WorkerId;
use crate::state::{Generations, StateStore};
use crate::turn::DescribeTurn;

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
    /// Paces the calls of DescribeStream. Followers of one process share it: the limit is an account's.
    pub describe_turn: DescribeTurn,
    /// The UUID of its cluster, once it is known.
    pub cluster: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// The work beside reading, if any.
    pub beside: Option<Arc<dyn Beside>>,
}

/// How a follower works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ARN of the stream.
    pub stream_arn: StreamArn,
    /// This worker.
    pub worker: WorkerId,
    /// The fingerprint of its routes.
    pub routes: String,
    /// Where a new group begins.
    pub start: StartPosition,
    /// When the work is over.
    pub until: Until,
    /// The generation of each index; see [`super::generations`].
    pub generations: Generations,
    /// The one index that all routes write to, if there is one; see [`super::sole_index`].
    pub sole_index: Option<String>,
    /// The longest time between two polls of an idle shard.
    pub freshness: Duration,
    /// One-shot commands give up after so long without progress; `None` waits for ever.
    pub patience: Option<Duration>,
    /// The leases of this process, also of other tables: a process with leases lets others take the next one first.
    pub leases: Arc<AtomicUsize>,
    /// Fixes the jitter.
    pub seed: u64,
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
