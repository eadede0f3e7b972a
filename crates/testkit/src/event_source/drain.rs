//! Runs a mapping until it is done.

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::reply::Reply;
use super::source::{Batch, EventSource};

/// Gives batches to `invoke`, at most `at_once` at a time, until every record is acknowledged or given up.
///
/// # Panics
/// When the mapping has nothing to send and is not done: a child of a shard that was never added, for example.
pub async fn drain(source: &mut EventSource, at_once: usize, invoke: impl AsyncFn(Batch) -> Reply) {
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < at_once.max(1)
            && let Some(batch) = source.next_batch()
        {
            let reply = invoke(batch.clone());
            under_way.push(async move { (batch, reply.await) });
        }
        match under_way.next().await {
            Some((batch, reply)) => source.answered(&batch, &reply),
            None => break,
        }
    }
    assert!(source.is_drained(), "records that never come");
}
