//! Writes to the state table about leases, made beside everything else.

use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::ShardId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::follow::{FollowError, StatusBoard};
use crate::graph::KeepDone;
use crate::lease::{Holder, Lease, Tenure, Written};
use crate::state::{ProgressStore, StoredShard};

/// What a write came to.
#[derive(Debug)]
pub(super) enum Settled {
    /// The item of a shard is there.
    Offered,
    /// `None`: another worker was first, the call failed, or the tenure ended; the next refresh tells.
    Claimed {
        shard: ShardId,
        stored: Option<Box<StoredShard>>,
        /// In which it was claimed.
        tenure: Arc<Tenure>,
    },
    Finished {
        lease: Lease,
        written: Written,
    },
    /// `None`: the tenure ended first.
    Succeeded {
        lease: Lease,
        children: Vec<ShardId>,
        written: Option<Written>,
        /// In which it was to be written.
        tenure: Arc<Tenure>,
    },
    /// The tenure ended first.
    Dropped,
}

/// The writes that are under way.
pub(super) struct LeaseWrites {
    store: Arc<dyn ProgressStore>,
    board: StatusBoard,
    turn: Arc<Semaphore>,
    writes: JoinSet<Settled>,
}

const AT_ONCE: usize = 16;
const DEADLINE: Duration = Duration::from_secs(10);
const CLAIM_DEADLINE: Duration = Duration::from_secs(3);
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl LeaseWrites {
    pub(super) fn new(store: Arc<dyn ProgressStore>, board: StatusBoard) -> LeaseWrites {
        LeaseWrites { store, board, turn: Arc::new(Semaphore::new(AT_ONCE)), writes: JoinSet::new() }
    }

    /// What the next finished write came to; `None` where none is under way.
    pub(super) async fn next(&mut self) -> Option<Result<Settled, FollowError>> {
        self.writes.join_next().await.map(|joined| joined.map_err(|_| FollowError::Broken))
    }

    pub(super) fn offer(&mut self, shard: ShardId, parent: Option<ShardId>) {
        let writing = self.writing();
        self.writes.spawn(async move {
            writing.insist(|| writing.store.offer(&shard, parent.as_ref())).await;
            Settled::Offered
        });
    }

    /// One attempt: whether it is still wanted is seen at the next refresh.
    pub(super) fn claim(&mut self, shard: ShardId, holder: Holder, tenure: Arc<Tenure>) {
        let writing = self.writing();
        self.writes.spawn(async move {
            let claim = async {
                let _turn = writing.turn.acquire().await;
                timeout(CLAIM_DEADLINE, writing.store.claim(&shard, &holder)).await
            };
            let stored = match while_in(&tenure, claim).await {
                Some(Ok(Ok(stored))) => stored.map(Box::new),
                Some(Ok(Err(error))) => {
                    tracing::debug!(%shard, %error, "a lease could not be claimed");
                    None
                }
                Some(Err(_)) | None => None,
            };
            Settled::Claimed { shard, stored, tenure }
        });
    }

    pub(super) fn finish(&mut self, lease: Lease, tenure: Arc<Tenure>) {
        let writing = self.writing();
        self.writes.spawn(async move {
            let write = writing.insist(|| writing.store.finish(&lease));
            let Some(written) = while_in(&tenure, write).await else { return Settled::Dropped };
            Settled::Finished { lease, written }
        });
    }

    pub(super) fn succeed(&mut self, lease: Lease, children: Vec<ShardId>, keep: KeepDone, tenure: Arc<Tenure>) {
        let writing = self.writing();
        self.writes.spawn(async move {
            let write = writing.insist(|| writing.store.succeed(&lease, &children, &keep));
            let written = while_in(&tenure, write).await;
            Settled::Succeeded { lease, children, written, tenure }
        });
    }

    /// Drops what is under way.
    pub(super) async fn stop(&mut self) {
        self.writes.shutdown().await;
    }

    fn writing(&self) -> Writing {
        Writing { store: Arc::clone(&self.store), board: self.board.clone(), turn: Arc::clone(&self.turn) }
    }
}

struct Writing {
    store: Arc<dyn ProgressStore>,
    board: StatusBoard,
    turn: Arc<Semaphore>,
}

impl Writing {
    /// Repeats a write until it is answered.
    async fn insist<T, F>(&self, write: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, StateError>>,
    {
        let mut wait = FIRST_WAIT;
        let mut failed = false;
        loop {
            let turn = self.turn.acquire().await;
            match timeout(DEADLINE, write()).await {
                Ok(Ok(written)) => {
                    if failed {
                        self.board.pause_all(None);
                    }
                    return written;
                }
                Ok(Err(error)) => self.board.pause_all(Some(error.to_string())),
                Err(_) => self.board.pause_all(Some("the state table did not answer within 10 s".to_owned())),
            }
            drop(turn);
            failed = true;
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

async fn while_in<T>(tenure: &Tenure, write: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = tenure.token().cancelled() => None,
        written = write => Some(written),
    }
}
