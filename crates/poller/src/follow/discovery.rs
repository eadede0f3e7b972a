//! Calls about the stream as a whole, made beside the shards: listings, children, gaps recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::{ListedShard, Listing, ShardId, StreamStatus};
use streamdex_dynamodb::{AwsError, Fault};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::error::FollowError;
use crate::gap::Gap;
use crate::lease::Fenced;
use crate::shard::Shared;
use crate::state::Loaded;

/// What a call came to.
pub(super) enum Discovered {
    /// The shards that are done: listings and their parents still show those.
    Done(Box<Loaded>),
    /// A complete listing.
    Shards {
        shards: Vec<ListedShard>,
        status: StreamStatus,
        /// When it was begun.
        began: Instant,
    },
    StreamGone,
    Children {
        parent: ShardId,
        children: Vec<ListedShard>,
    },
    CurrentStream(Option<String>),
    /// A gap is in the state table.
    Recorded(Fenced),
    /// A one-shot command met a failure that does not pass.
    GaveUp(AwsError),
    /// The state table cannot be used.
    Refused(StateError),
}

/// The calls that are under way.
pub(super) struct Discovery {
    shared: Arc<Shared>,
    calls: JoinSet<Discovered>,
    records: JoinSet<Discovered>,
    listing: bool,
    /// The last question for the children of each shard.
    sought: BTreeMap<ShardId, AbortHandle>,
}

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A stream is gone when the service has said so this often in a row.
const BELIEVE_NOT_FOUND: u32 = 6;
const STATE_DEADLINE: Duration = Duration::from_secs(10);

impl Discovery {
    pub(super) fn new(shared: Arc<Shared>) -> Discovery {
        Discovery { shared, calls: JoinSet::new(), records: JoinSet::new(), listing: false, sought: BTreeMap::new() }
    }

    pub(super) fn is_listing(&self) -> bool {
        self.listing
    }

    /// What the next finished call came to; `None` where none is under way.
    pub(super) async fn next(&mut self) -> Option<Result<Discovered, FollowError>> {
        let joined = loop {
            let joined = tokio::select! {
                biased;
                Some(joined) = self.calls.join_next() => joined,
                Some(joined) = self.records.join_next() => joined,
                else => return None,
            };
            // A question that a later one has taken the place of.
            if !joined.as_ref().is_err_and(JoinError::is_cancelled) {
                break joined;
            }
        };
        match &joined {
            Ok(Discovered::Shards { .. } | Discovered::StreamGone) => self.listing = false,
            Ok(Discovered::Children { parent, .. }) => drop(self.sought.remove(parent)),
            _ => {}
        }
        Some(joined.map_err(|_| FollowError::Broken))
    }

    pub(super) fn list(&mut self) {
        self.listing = true;
        self.calls.spawn(Box::pin(list(Arc::clone(&self.shared))));
    }

    /// Loads the shards that are done, however long that takes.
    pub(super) fn load_done(&mut self) {
        self.calls.spawn(Box::pin(done_shards(Arc::clone(&self.shared))));
    }

    /// Asks for children after `delay`, in place of what was asked before.
    pub(super) fn seek(&mut self, parent: ShardId, delay: Duration) {
        let (shared, sought) = (Arc::clone(&self.shared), parent.clone());
        let question = self.calls.spawn(async move {
            sleep(delay).await;
            let mut wait = FIRST_WAIT;
            loop {
                shared.describe_turn.wait().await;
                shared.contact.stream_asked();
                match shared.source.children(&parent).await {
                    Ok(children) => {
                        shared.contact.stream_answered();
                        return Discovered::Children { parent, children };
                    }
                    Err(error) if error.fault() == Fault::NotFound => {
                        return Discovered::Children { parent, children: Vec::new() };
                    }
                    Err(error) => {
                        shared.contact.stream_refused(error.fault());
                        tracing::debug!(%parent, %error, "the shard's children could not be listed");
                        sleep(jittered(wait)).await;
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                }
            }
        });
        if let Some(earlier) = self.sought.insert(sought, question) {
            earlier.abort();
        }
    }

    pub(super) fn ask_for_the_current_stream(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.calls.spawn(async move {
            match shared.source.current_stream().await {
                Ok(current) => Discovered::CurrentStream(current),
                Err(error) => {
                    tracing::debug!(%error, "the table's stream could not be looked up");
                    Discovered::CurrentStream(None)
                }
            }
        });
    }

    /// Writes a gap to the state table, however long that takes.
    pub(super) fn record(&mut self, gap: Gap) {
        let shared = Arc::clone(&self.shared);
        self.records.spawn(async move {
            let mut wait = FIRST_WAIT;
            loop {
                match timeout(STATE_DEADLINE, shared.progress.gap(&gap)).await {
                    Ok(Ok(fenced)) => return Discovered::Recorded(fenced),
                    Ok(Err(error)) => tracing::warn!(%error, "a gap could not be recorded yet"),
                    Err(_) => {
                        tracing::warn!("a gap could not be recorded yet: the state table did not answer within 10 s")
                    }
                }
                sleep(jittered(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Waits until every gap is recorded, or the lease is lost. The other calls are dropped.
    pub(super) async fn finish_records(&mut self) -> Result<Fenced, FollowError> {
        self.calls.abort_all();
        while let Some(recorded) = self.records.join_next().await {
            if let Discovered::Recorded(Fenced::Lost) = recorded.map_err(|_| FollowError::Broken)? {
                return Ok(Fenced::Lost);
            }
        }
        Ok(Fenced::Stored)
    }
}

/// Lists page by page. A page that fails is asked for again, and those before it are kept.
async fn list(shared: Arc<Shared>) -> Discovered {
    let started = Instant::now();
    let mut began = started;
    let mut listing = Listing::default();
    let (mut wait, mut not_found, mut paused) = (FIRST_WAIT, 0, false);
    while !listing.is_over() {
        shared.describe_turn.wait().await;
        shared.contact.stream_asked();
        let asked = shared.progress.time().asked();
        let error = match shared.source.shards(listing.next_after()).await {
            Ok(page) => {
                shared.contact.stream_answered();
                shared.progress.time().hear(asked, page.date);
                (wait, not_found) = (FIRST_WAIT, 0);
                if std::mem::take(&mut paused) {
                    shared.board.pause_all(None);
                }
                if !listing.add(page) {
                    tracing::warn!("DescribeStream repeats a page: starting the listing over");
                    listing = Listing::default();
                    sleep(LONGEST_WAIT).await;
                    began = Instant::now();
                }
                continue;
            }
            Err(error) => error,
        };
        shared.contact.stream_refused(error.fault());
        not_found = if error.fault() == Fault::NotFound { not_found + 1 } else { 0 };
        if not_found >= BELIEVE_NOT_FOUND {
            return Discovered::StreamGone;
        }
        if shared.patience.is_some_and(|patience| started.elapsed() >= patience) {
            return Discovered::GaveUp(error);
        }
        if not_found == 0 {
            paused = true;
            shared.board.pause_all(Some(error.to_string()));
        }
        sleep(jittered(wait)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    let status = listing.status();
    Discovered::Shards { shards: listing.into_shards(), status, began }
}
/// The shards that are done, however long it takes to know them: what a listing shows must not be read again.
async fn done_shards(shared: Arc<Shared>) -> Discovered {
    let mut wait = FIRST_WAIT;
    loop {
        let reason = match timeout(STATE_DEADLINE, shared.progress.done_shards()).await {
            Ok(Ok(shards)) => {
                if wait > FIRST_WAIT {
                    shared.board.pause_all(None);
                }
                return Discovered::Done(Box::new(Loaded { shards, ..Loaded::default() }));
            }
            Ok(Err(error)) if error.aws().is_none() => return Discovered::Refused(error),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the state table did not answer within 10 s".to_owned(),
        };
        shared.board.pause_all(Some(format!("the list of finished shards is not loaded yet: {reason}")));
        sleep(jittered(wait)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Callers that failed together must not come again together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.75 + 0.5 * fastrand::f64())
}
