//! Writes of the supervisor: shards that are found, and shards that are done.

use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::ShardId;
use tokio::time::sleep;

use super::{Settled, Supervisor};
use crate::graph::KeepDone;
use crate::lease::Fenced;
use crate::shard::Shared;
use crate::state::writes::MOST_FOUND;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Shards that are found are read as soon as their batch has items, however many there are.
    pub(super) fn write_found(&mut self, found: &[(ShardId, Option<ShardId>)]) {
        for batch in found.chunks(MOST_FOUND) {
            let (shared, batch) = (Arc::clone(&self.shared), batch.to_vec());
            self.writes.spawn(async move {
                let fenced = insist(&shared, || shared.progress.found(&batch)).await;
                Settled::Found(batch.into_iter().map(|(shard, _)| shard).collect(), fenced)
            });
        }
    }

    pub(super) fn write_done(&mut self, shard: ShardId, children: Vec<ShardId>) {
        let shared = Arc::clone(&self.shared);
        let keep: KeepDone = self.graph.keep_done(&shard);
        self.writes.spawn(async move {
            let fenced = insist(&shared, || shared.progress.done(&shard, &children, &keep)).await;
            Settled::Done(shard, fenced)
        });
    }
}

/// Repeats a write until it is answered.
async fn insist<F>(shared: &Shared, write: impl Fn() -> F) -> Fenced
where
    F: Future<Output = Result<Fenced, StateError>>,
{
    let mut wait = FIRST_WAIT;
    let mut failed = false;
    loop {
        // Writes on the lease wait for their turn, and have a deadline of their own then.
        let reason = match write().await {
            Ok(fenced) => {
                if failed {
                    shared.board.pause_all(None);
                }
                return fenced;
            }
            Err(error) => error.to_string(),
        };
        shared.board.pause_all(Some(reason));
        failed = true;
        sleep(wait.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
