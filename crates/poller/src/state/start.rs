//! Where a group begins with a stream.

use std::collections::BTreeSet;

use streamdex_config::StartPosition;
use streamdex_dynamodb::stream::{ListedShard, ShardId};

use super::StreamStart;
use crate::graph::roots;

/// A complete listing of a stream's shards.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) shards: Vec<ListedShard>,
    /// The service's time of its first page, in seconds since 1970.
    pub(crate) began: u64,
}

impl StreamStart {
    /// At the time of the service's first answer, with the shards of two complete listings that were begun after it, since
    /// one can miss a parent that is made while it is read (rule L9).
    pub(crate) async fn of_listings<E, F>(position: StartPosition, list: impl Fn() -> F) -> Result<StreamStart, E>
    where
        F: Future<Output = Result<Listed, E>>,
    {
        let (first, second) = (list().await?, list().await?);
        // The later listing knows better which shards are closed.
        let ids: BTreeSet<&ShardId> = second.shards.iter().map(|shard| &shard.id).collect();
        let mut shards: Vec<ListedShard> =
            first.shards.iter().filter(|earlier| !ids.contains(&earlier.id)).cloned().collect();
        shards.extend(second.shards.iter().cloned());
        Ok(StreamStart { position, at: first.began, roots: roots(&shards, position), resumes: false })
    }
}
