//! The interface to the state table.

use async_trait::async_trait;
use streamdex_dynamodb::state::{Extent, Item, Operation, StateError, StatePartition, Written};

/// The items of one group about one table.
///
/// Reads are strongly consistent. Whether a write whose answer is lost was carried out is not known; all of them may be
/// repeated.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The items of this extent.
    async fn query(&self, extent: Extent<'_>) -> Result<Vec<Item>, StateError>;
    /// One item.
    async fn get(&self, sort_key: &str) -> Result<Option<Item>, StateError>;
    /// All of these, or none.
    async fn write(&self, operations: &[Operation]) -> Result<Written, StateError>;
}

#[async_trait]
impl StateStore for StatePartition {
    async fn query(&self, extent: Extent<'_>) -> Result<Vec<Item>, StateError> {
        StatePartition::query(self, extent).await
    }

    async fn get(&self, sort_key: &str) -> Result<Option<Item>, StateError> {
        StatePartition::get(self, sort_key).await
    }

    async fn write(&self, operations: &[Operation]) -> Result<Written, StateError> {
        StatePartition::write(self, operations).await
    }
}
