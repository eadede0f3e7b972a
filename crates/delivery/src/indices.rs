//! The indices that are written to: making them, watching their UUIDs, and remembering those in the state table.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::TableArn;
use streamdex_dynamodb::state::{
    Extent, Item, Partition, SortKey, StateError, StateTable, check_format, number, of_number, stored, text,
};
use streamdex_dynamodb::time::now;
use streamdex_mapping::IndexName;
use streamdex_sink::index::{GroupState, Indices, KnownIndex, SetupError, Target, VanishedIndex};

/// Watches the indices that are written to.
#[async_trait]
pub trait IndexWatch: Send + Sync {
    /// Takes over what the group's state says of a table: see [`Indices::restore`].
    fn restore(&self, table: &TableArn, known: Vec<KnownIndex>, group: GroupState);
    /// Adds the group to those that the index names: see [`Indices::name_group`].
    async fn name_group(&self, _known: &KnownIndex) -> Result<(), SetupError> {
        Ok(())
    }
    /// The indices whose UUIDs are known.
    fn known(&self) -> Vec<KnownIndex>;
    /// Compares them with what is there now.
    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError>;
}

/// Makes the indices that are written to.
#[async_trait]
pub trait IndexSetup: IndexWatch {
    /// Makes sure that the index is there; see [`Indices::ensure`].
    ///
    /// # Errors
    /// [`SetupError::kind`] tells whether to try again later.
    async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError>;
    /// Looks for the index without making it; see [`Indices::find`].
    ///
    /// # Errors
    /// [`SetupError::kind`] tells whether to try again later.
    async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError>;
    /// Where the documents of `index` go; `None` before [`IndexSetup::ensure`]. No I/O.
    fn target(&self, index: &IndexName) -> Option<Arc<Target>>;
}

/// The records of indices that a group keeps about one table in the state table: a process that knows an index's
/// UUID sees when the index vanished, and does not quietly make a new one.
#[derive(Debug, Clone)]
pub struct KnownIndices {
    table: StateTable,
    partition: String,
}

// === impl Indices ===

#[async_trait]
impl IndexWatch for Indices {
    fn restore(&self, table: &TableArn, known: Vec<KnownIndex>, group: GroupState) {
        Indices::restore(self, table.as_str(), known, group);
    }

    async fn name_group(&self, known: &KnownIndex) -> Result<(), SetupError> {
        Indices::name_group(self, known).await
    }

    fn known(&self) -> Vec<KnownIndex> {
        Indices::known(self)
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        Indices::watch(self).await
    }
}

#[async_trait]
impl IndexSetup for Indices {
    async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        Indices::ensure(self, index).await
    }

    async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
        Indices::find(self, index).await
    }

    fn target(&self, index: &IndexName) -> Option<Arc<Target>> {
        Indices::target(self, index)
    }
}

// === impl KnownIndices ===

impl KnownIndices {
    /// The records of `table`'s group about the indices of `source`.
    pub fn new(table: StateTable, source: &TableArn) -> KnownIndices {
        let partition = Partition::Follow { group: table.group(), table: source.as_str() }.key();
        KnownIndices { table, partition }
    }

    /// Every index on record. A record that cannot be read is passed over with a warning.
    ///
    /// # Errors
    /// A call failed, or a record is in a newer format.
    pub async fn load(&self) -> Result<Vec<KnownIndex>, StateError> {
        let mut known = Vec::new();
        for item in self.table.query(&self.partition, Extent::Prefix(SortKey::INDEX_PREFIX)).await? {
            let Some(sort_key) = text(&item, "sk") else { continue };
            let SortKey::Index { concrete } = SortKey::parse(sort_key) else { continue };
            check_format(&item, sort_key)?;
            match read_index(&item, concrete) {
                Some(index) => known.push(index),
                None => tracing::warn!(item = sort_key, "an index record in the state table cannot be read"),
            }
        }
        Ok(known)
    }

    /// Records an index. The first record of an index stays.
    ///
    /// # Errors
    /// The call failed.
    pub async fn note(&self, index: &KnownIndex) -> Result<(), StateError> {
        let mut item = write_index(index);
        let key = SortKey::Index { concrete: index.concrete.clone() };
        item.insert("at".to_owned(), of_number(now()));
        self.table.put_new(stored(&self.partition, key.text(), item)).await.map(drop)
    }
}

/// The index that a record names; `None` where the record cannot be read.
pub fn read_index(item: &Item, concrete: String) -> Option<KnownIndex> {
    let generation = u32::try_from(number(item, "generation")?).ok()?;
    Some(KnownIndex {
        index: text(item, "index")?.to_owned(),
        concrete,
        uuid: text(item, "uuid")?.to_owned(),
        generation,
    })
}

/// A record's own attributes, without its key.
pub fn write_index(index: &KnownIndex) -> Item {
    Item::from([
        ("index".to_owned(), AttributeValue::S(index.index.clone())),
        ("uuid".to_owned(), AttributeValue::S(index.uuid.clone())),
        ("generation".to_owned(), of_number(u64::from(index.generation))),
    ])
}
