//! A table and the indices that mirror it: what every job works with.

use std::sync::Arc;

use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterKey};
use streamdex_delivery::{Attempts, DeliveryProgress, Term};
use streamdex_dynamodb::item::ItemReader;
use streamdex_dynamodb::scan::ScanSource;
use streamdex_mapping::{KeyAttribute, Mapper};
use streamdex_sink::read::{HeldIndex, IndexReader};
use streamdex_sink::writer::Patience;

use crate::fault::Fault;

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

    /// The indices of the table that are there.
    pub(crate) async fn held(&self, term: Term<'_>) -> Result<Vec<HeldIndex>, Fault> {
        Ok(self.attempts().make(term, "list the indices", || self.index.held(&self.table)).await?)
    }

    /// A page of the table's dead letters after `after`, and where the next one begins.
    pub(crate) async fn letters_after(
        &self,
        after: Option<&LetterKey>,
        term: Term<'_>,
    ) -> Result<(Vec<DeadLetter>, Option<LetterKey>), Fault> {
        let mut page = self.attempts().make(term, "list dead letters", || self.letters.list(after)).await?;
        page.letters.retain(|letter| letter.table == self.table);
        Ok((page.letters, page.next))
    }

    /// The names of the key attributes.
    pub(crate) fn key_names(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }
}
