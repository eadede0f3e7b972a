//! A table and the indices that mirror it: what every job works with.

use std::sync::Arc;
use std::time::Duration;

use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterKey};
use streamdex_delivery::{Attempts, DeliveryProgress, Term};
use streamdex_dynamodb::item::ItemReader;
use streamdex_dynamodb::scan::{ScanSource, Segment};
use streamdex_mapping::{KeyAttribute, Mapper};
use streamdex_sink::read::{HeldIndex, IndexReader};
use streamdex_sink::writer::Patience;
use tokio_util::sync::CancellationToken;

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

/// What is asked again while a time is waited for.
const LONGEST_NAP: Duration = Duration::from_secs(30);

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

    /// Waits until what is read is no older than `not_before`, in seconds since 1970 by the clock of the service, or until
    /// `stop`.
    ///
    /// # Errors
    /// The table cannot be read, or the wait was cancelled.
    pub async fn wait_until(&self, not_before: u64, term: Term<'_>, stop: &CancellationToken) -> Result<(), Fault> {
        let mut said = false;
        if not_before == 0 {
            return Ok(());
        }
        loop {
            let probe = || self.scan.page(Segment { number: 0, of: 1 }, None, Some(1));
            let page = self.attempts().make(term, "scan the table", probe).await?;
            let left = Duration::from_secs(not_before.saturating_sub(page.at));
            if left.is_zero() || stop.is_cancelled() {
                return Ok(());
            }
            if !said {
                said = true;
                tracing::info!(seconds = left.as_secs(), "waiting: the stream must be followed for 90 s first");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                slept = term.sleep(left.min(LONGEST_NAP)) => slept?,
            }
        }
    }

    /// The names of the key attributes.
    pub(crate) fn key_names(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }
}
