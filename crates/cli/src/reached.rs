//! The clients for a table and its indices, and the jobs that need both.

use std::sync::Arc;

use streamdex_delivery::backfill::BackfillStore;
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::{Attempts, Delivery, DeliveryProgress, ReadMemory, Term};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::item::{BatchGetReader, ItemReader};
use streamdex_dynamodb::scan::TableScan;
use streamdex_mapping::{KeyAttribute, Mapper};
use streamdex_reconcile::{Fault, Mirror, Repair};
use streamdex_sink::index::KnownIndex;
use streamdex_sink::read::{ClusterReader, IndexReader};
use streamdex_sink::{BulkWriter, Client, Indices, Patience, WriterSettings};
use tokio_util::sync::CancellationToken;

/// What a table and its indices are reached through. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reached {
    pub(crate) table: String,
    pub(crate) clients: SourceClients,
    pub(crate) client: Client,
    pub(crate) indices: Arc<Indices>,
    pub(crate) mapper: Arc<Mapper>,
    pub(crate) letters: Arc<dyn DeadLetterStore>,
    pub(crate) memory: ReadMemory,
    pub(crate) patience: Patience,
}

// === impl Reached ===

impl Reached {
    /// Reads items by key.
    pub(crate) fn items(&self) -> Arc<dyn ItemReader> {
        Arc::new(BatchGetReader::new(self.clients.dynamodb.clone(), self.table.clone()))
    }

    /// Reads the indices.
    pub(crate) fn index(&self) -> ClusterReader {
        ClusterReader::new(self.client.clone(), self.indices.clone())
    }

    /// For jobs that read the table and its indices. These are the table's keys.
    pub(crate) fn mirror(&self, keys: Vec<KeyAttribute>) -> Arc<Mirror> {
        Arc::new(Mirror {
            table: self.table.clone(),
            keys,
            mapper: self.mapper.clone(),
            scan: Arc::new(TableScan::new(self.clients.dynamodb.clone(), &self.table)),
            items: self.items(),
            index: Arc::new(self.index()),
            letters: self.letters.clone(),
            patience: self.patience,
            progress: DeliveryProgress::under_way(),
        })
    }

    /// What writes through `writer`.
    pub(crate) fn delivery(&self, reader: Arc<dyn ItemReader>, writer: BulkWriter) -> Delivery {
        Delivery {
            table: self.table.clone(),
            mapper: self.mapper.clone(),
            reader: Some(reader),
            indices: self.indices.clone(),
            writer,
            letters: self.letters.clone(),
            patience: self.patience,
            progress: DeliveryProgress::under_way(),
            memory: self.memory.clone(),
        }
    }

    /// What repairs, until `cancel`. Refused items are still in the table, so no refusal needs a proof of its cause.
    pub(crate) fn repair(&self, settings: WriterSettings, cancel: &CancellationToken) -> Repair {
        let settings = WriterSettings { brake_after: 0, brake_after_field: 0, ..settings };
        let writer = BulkWriter::start(self.client.clone(), self.indices.clone(), settings, cancel.clone());
        Repair::through(|letters| Delivery { letters, ..self.delivery(self.items(), writer) })
    }

    /// Records the indices of the table, so that the next writer notices when one is gone. Returns whether they are
    /// still the ones that were written to.
    ///
    /// # Errors
    /// OpenSearch does not answer for longer than patience lasts, or the state table does not.
    pub(crate) async fn note_indices(&self, store: &dyn BackfillStore, term: Term<'_>) -> Result<bool, Fault> {
        let progress = DeliveryProgress::under_way();
        let attempts = Attempts { patience: self.patience, progress: &progress };
        let look = || self.indices.watch();
        if !attempts.make(term, "check the indices", look).await?.is_empty() {
            return Ok(false);
        }
        let index = self.index();
        let held = attempts.make(term, "list the indices", || index.held(&self.table)).await?;
        let is_held = |known: &&KnownIndex| held.iter().any(|index| index.index.as_str() == known.index);
        for known in self.indices.known().iter().filter(is_held) {
            store.note(known).await?;
        }
        Ok(true)
    }
}
