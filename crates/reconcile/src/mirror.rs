//! A table and the indices that mirror it: what every job works with.

use std::sync::Arc;

use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::{Attempts, DeliveryProgress};
use streamdex_dynamodb::item::ItemReader;
use streamdex_dynamodb::scan::ScanSource;
use streamdex_mapping::{KeyAttribute, Mapper};
use streamdex_sink::read::IndexReader;
use streamdex_sink::writer::Patience;

/// A table and the indices that mirror it.
pub struct Mirror {
    /// The table's name.
    pub table: String,
    /// Its key attributes, partition key first.
    pub keys: Vec<KeyAttribute>,
    /// How its items are mapped.
    pub mapper: Arc<Mapper>,
    /// Reads all items.
    pub scan: Arc<dyn ScanSource>,
    /// Reads items by key.
    pub items: Arc<dyn ItemReader>,
    /// Reads the indices.
    pub index: Arc<dyn IndexReader>,
    /// The dead letters.
    pub letters: Arc<dyn DeadLetterStore>,
    /// How long what fails is tried again.
    pub patience: Patience,
    /// How it has gone so far.
    pub progress: DeliveryProgress,
}

// === impl Mirror ===

impl Mirror {
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts { patience: self.patience, progress: &self.progress }
    }

    /// The names of the key attributes.
    pub(crate) fn key_names(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }
}
