//! Calls about the stream as a whole, made beside the shards: listings, children, gaps recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::stream::{ListedShard, ShardId, StreamSource, StreamStatus, list_shards};
use streamdex_dynamodb::{AwsError, Fault};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Clock;
use crate::follow::{FollowError, StatusBoard};
use crate::gap::Gap;
use crate::state::{Loaded, ProgressStore};
use crate::turn::DescribeTurn;

/// What a call came to.
pub(super) enum Discovered {
    /// A listing, and what the state table knew before it.
    Shards {
        shards: Vec<ListedShard>,
        status: StreamStatus,
        known: Box<Loaded>,
        /// When that was asked for, on the monotonic clock.
        asked: Duration,
    },
    StreamGone,
    Children {
        parent: ShardId,
        children: Vec<ListedShard>,
    },
    CurrentStream(Option<String>),
    /// A gap is in the state table.
    Recorded,
    /// A one-shot command met a failure that does not pass.
    GaveUp(AwsError),
}

/// The calls that are under way.
pub(super) struct Discovery {
    source: Arc<dyn StreamSource>,
    store: Arc<dyn ProgressStore>,
    board: StatusBoard,
    clock: Arc<dyn Clock>,
    patience: Option<Duration>,
    turn: DescribeTurn,
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
    pub(super) fn new(
        source: Arc<dyn StreamSource>,
        store: Arc<dyn ProgressStore>,
        board: StatusBoard,
        clock: Arc<dyn Clock>,
        patience: Option<Duration>,
    ) -> Discovery {
        Discovery {
            source,
            store,
            board,
            clock,
            patience,
            turn: DescribeTurn::default(),
            calls: JoinSet::new(),
            records: JoinSet::new(),
            listing: false,
            sought: BTreeMap::new(),
        }
    }

    /// The turn that all calls of DescribeStream about this stream share.
    pub(super) fn turn(&self) -> DescribeTurn {
        self.turn.clone()
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
        let caller = self.caller();
        self.calls.spawn(async move {
            let started = Instant::now();
            let mut wait = FIRST_WAIT;
            let mut not_found = 0;
            let mut paused = false;
            loop {
                caller.turn.wait().await;
                let asked = caller.clock.monotonic();
                let Some(known) = caller.load().await.map(Box::new) else {
                    sleep(LONGEST_WAIT).await;
                    continue;
                };
                let error = match list_shards(caller.source.as_ref()).await {
                    Ok((shards, status)) => {
                        if paused {
                            caller.board.pause_all(None);
                        }
                        return Discovered::Shards { shards, status, known, asked };
                    }
                    Err(error) => error,
                };
                not_found = if error.fault() == Fault::NotFound { not_found + 1 } else { 0 };
                if not_found >= BELIEVE_NOT_FOUND {
                    return Discovered::StreamGone;
                }
                if caller.patience.is_some_and(|patience| started.elapsed() >= patience) {
                    return Discovered::GaveUp(error);
                }
                if not_found == 0 {
                    paused = true;
                    caller.board.pause_all(Some(error.to_string()));
                }
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Asks for children after `delay`, in place of what was asked before. A failure is an answer without children:
    /// the graph asks again.
    pub(super) fn seek(&mut self, parent: ShardId, delay: Duration) {
        let (caller, sought) = (self.caller(), parent.clone());
        let question = self.calls.spawn(async move {
            sleep(delay).await;
            let mut wait = FIRST_WAIT;
            loop {
                caller.turn.wait().await;
                match caller.source.children(&parent).await {
                    Ok(children) => return Discovered::Children { parent, children },
                    Err(error) if error.fault() == Fault::NotFound => {
                        return Discovered::Children { parent, children: Vec::new() };
                    }
                    Err(error) => {
                        tracing::debug!(%parent, %error, "children cannot be asked for");
                        sleep(wait).await;
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
        let caller = self.caller();
        self.calls.spawn(async move {
            match caller.source.current_stream().await {
                Ok(current) => Discovered::CurrentStream(current),
                Err(error) => {
                    tracing::debug!(%error, "the table cannot be asked for its stream");
                    Discovered::CurrentStream(None)
                }
            }
        });
    }

    /// Writes a gap to the state table, however long that takes.
    pub(super) fn record(&mut self, gap: Gap) {
        let store = Arc::clone(&self.store);
        self.records.spawn(async move {
            let mut wait = FIRST_WAIT;
            loop {
                match timeout(STATE_DEADLINE, store.gap(&gap)).await {
                    Ok(Ok(())) => return Discovered::Recorded,
                    Ok(Err(error)) => tracing::warn!(%error, "a gap is not recorded yet"),
                    Err(_) => tracing::warn!("a gap is not recorded yet: the state table did not answer within 10 s"),
                }
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Waits until every gap is recorded. The other calls are dropped.
    pub(super) async fn finish_records(&mut self) {
        self.calls.abort_all();
        while self.records.join_next().await.is_some() {}
    }

    fn caller(&self) -> Caller {
        Caller {
            source: Arc::clone(&self.source),
            store: Arc::clone(&self.store),
            board: self.board.clone(),
            clock: Arc::clone(&self.clock),
            turn: self.turn.clone(),
            patience: self.patience,
        }
    }
}

struct Caller {
    source: Arc<dyn StreamSource>,
    store: Arc<dyn ProgressStore>,
    board: StatusBoard,
    clock: Arc<dyn Clock>,
    turn: DescribeTurn,
    patience: Option<Duration>,
}

impl Caller {
    /// All that the state table holds, shards that are done included: a listing still shows those.
    async fn load(&self) -> Option<Loaded> {
        match timeout(STATE_DEADLINE, self.store.load()).await {
            Ok(Ok(loaded)) => return Some(loaded),
            Ok(Err(error)) => tracing::debug!(%error, "the shards are not listed yet"),
            Err(_) => tracing::debug!("the shards are not listed yet: the state table did not answer"),
        }
        None
    }
}
