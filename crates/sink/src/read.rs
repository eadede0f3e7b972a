//! Reads documents by their addresses, and every id of an index, to compare an index with its table.
//!
//! Nothing here changes an index. An incomplete answer proves nothing, and the request is repeated.

mod cursor;
mod get;
mod held;
mod walk;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use streamdex_mapping::Address;

pub use self::cursor::{Slice, Walk};
use crate::client::Client;
pub use crate::index::HeldIndex;
use crate::index::{Indices, SetupError};

/// A document as an index holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its version.
    pub version: u64,
    /// Its source, as it was written.
    pub source: Bytes,
}

/// One document of an index, without its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its routing.
    pub routing: Option<Arc<str>>,
    /// Its version.
    pub version: u64,
}

/// Some documents of a walk, and how to go on.
pub struct EntryPage {
    /// The documents; none at the end.
    pub entries: Vec<Entry>,
    /// The walk behind them; `None` at the end.
    pub next: Option<Walk>,
}

/// Reads what indices hold. What fails can be tried again. An answer that was lost may have moved a walk on: then it
/// comes to too few documents, ends with an error, and is begun again.
#[async_trait]
pub trait IndexReader: Send + Sync {
    /// The documents at `addresses`, in their order; `None` where there is none, and where the index is not there.
    async fn get(&self, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, SetupError>;
    /// The indices that the routes of the table named `table` write to, as far as they are there.
    async fn held(&self, table: &str) -> Result<Vec<HeldIndex>, SetupError>;
    /// How many documents an index has.
    async fn count(&self, index: &HeldIndex) -> Result<u64, SetupError>;
    /// Makes what was written before visible to walks.
    async fn refresh(&self, index: &HeldIndex) -> Result<(), SetupError>;
    /// The first page of all documents in a slice.
    async fn begin(&self, index: &HeldIndex, slice: Slice) -> Result<EntryPage, SetupError>;
    /// The next page.
    async fn go_on(&self, walk: Walk) -> Result<EntryPage, SetupError>;
    /// `most` documents of an index at most, taken at random.
    async fn sample(&self, index: &HeldIndex, most: u32) -> Result<Vec<Entry>, SetupError>;
}

/// Reads with one client.
#[derive(Debug, Clone)]
pub struct ClusterReader {
    client: Client,
    indices: Arc<Indices>,
}

// === impl ClusterReader ===

impl ClusterReader {
    /// Reads the indices of a configuration.
    pub fn new(client: Client, indices: Arc<Indices>) -> ClusterReader {
        ClusterReader { client, indices }
    }
}

/// Documents are private: `Debug` shows version and length.
impl std::fmt::Debug for StoredDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredDocument({} bytes at {})", self.source.len(), self.version)
    }
}

/// Ids are private.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} bytes at {})", self.id.len(), self.version)
    }
}
