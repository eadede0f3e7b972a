//! Finds the existing indices of the routes.

use async_trait::async_trait;
use opensearch::http::Method;
use serde_json::Value;
use streamdex_mapping::Address;

use super::{ClusterReader, Entry, EntryPage, HeldIndex, IndexReader, Slice, StoredDocument, Walk};
use crate::index::{SetupError, ask, escape};

#[async_trait]
impl IndexReader for ClusterReader {
    async fn get(&self, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, SetupError> {
        self.get_all(addresses).await
    }

    async fn held(&self, table: &str) -> Result<Vec<HeldIndex>, SetupError> {
        self.indices.held(table).await
    }

    async fn count(&self, index: &HeldIndex) -> Result<u64, SetupError> {
        let action = format!("count the documents of {}", index.concrete);
        let path = format!("{}/_count", escape(&index.concrete));
        let reply = ask(&self.client, Method::Get, &path, None).await?;
        let members = reply.members(&action)?;
        let failed = members.get("_shards").and_then(|shards| shards.get("failed")).and_then(Value::as_u64);
        let count = members.get("count").and_then(Value::as_u64).filter(|_| failed == Some(0));
        count.ok_or_else(|| reply.unexpected(action))
    }

    async fn refresh(&self, index: &HeldIndex) -> Result<(), SetupError> {
        let action = format!("refresh {}", index.concrete);
        let reply = ask(&self.client, Method::Post, &format!("{}/_refresh", escape(&index.concrete)), None).await?;
        let failed =
            reply.members(&action)?.get("_shards").and_then(|shards| shards.get("failed")).and_then(Value::as_u64);
        if failed == Some(0) { Ok(()) } else { Err(reply.unexpected(action)) }
    }

    async fn begin(&self, index: &HeldIndex, slice: Slice) -> Result<EntryPage, SetupError> {
        Box::pin(self.begin_walk(index, slice)).await
    }

    async fn go_on(&self, walk: Walk) -> Result<EntryPage, SetupError> {
        Box::pin(self.go_on_with(walk)).await
    }

    async fn sample(&self, index: &HeldIndex, most: u32) -> Result<Vec<Entry>, SetupError> {
        self.sample_of(index, most).await
    }
}
