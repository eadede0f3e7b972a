//! Delivers a mapped page: reads items, writes operations and stores dead letters.
//!
//! It returns when each record has its outcome, or when it has to stop. Records without an outcome are then undecided,
//! and no checkpoint may pass them.

mod letters;
mod rounds;
mod slices;

use std::collections::BTreeSet;
use std::sync::Arc;

use streamdex_dynamodb::item::ItemReader;
use streamdex_mapping::{IndexName, Mapper, Outcome};
use streamdex_sink::index::{SetupError, SetupErrorKind};
use streamdex_sink::writer::{BulkWriter, Patience, Refusal};
use tokio::sync::mpsc;

use crate::attempt::Attempts;
use crate::bounds::Bounds;
use crate::fault::DeliveryFault;
use crate::indices::IndexSetup;
use crate::letter::{DeadLetter, DeadLetterStore};
use crate::memory::ReadMemory;
use crate::page::Page;
use crate::progress::DeliveryProgress;

/// Delivers the pages of one table.
pub struct Delivery {
    /// The table's name, for dead letters.
    pub table: String,
    /// Maps what is read.
    pub mapper: Arc<Mapper>,
    /// Reads items; `None` where no call to the table may be made.
    pub reader: Option<Arc<dyn ItemReader>>,
    /// Makes sure that indices are there.
    pub indices: Arc<dyn IndexSetup>,
    /// Writes operations.
    pub writer: BulkWriter,
    /// Keeps dead letters.
    pub letters: Arc<dyn DeadLetterStore>,
    /// How long something that fails is tried again.
    pub patience: Patience,
    /// How it has gone so far.
    pub progress: DeliveryProgress,
    /// The room for what is read: one for all deliveries of a process.
    pub memory: ReadMemory,
}

/// What became of a page.
#[derive(Debug)]
pub struct PageOutcome {
    /// One for each record, in order; `None` is undecided.
    pub outcomes: Vec<Option<Outcome>>,
    /// The logical indices that something was sent to.
    pub indices: BTreeSet<String>,
    /// Why there are undecided ones.
    pub fault: Option<DeliveryFault>,
}

/// Dead letters of records that cannot be mapped, each with the place of its record.
type LetterSender = mpsc::Sender<(usize, DeadLetter)>;

/// What an index is needed for.
#[derive(Debug, Clone, Copy)]
enum Need {
    /// For documents: it is made where it is missing.
    Documents,
    /// For deletes alone.
    Deletes,
}

/// Whether operations can be sent to an index.
enum Readiness {
    /// They can.
    Ready,
    /// They are deletes, and the index is not there: nothing is to be deleted, and a delete would make it.
    Absent,
    /// The records ask for an index that they must not have: that is their fault alone.
    Refused(Refusal),
}

// === impl Delivery ===

impl Delivery {
    /// Does what the records of `page` ask for.
    pub async fn deliver_page(&self, mut page: Page, bounds: &Bounds) -> PageOutcome {
        let fault = self.work_off(&mut page, bounds).await.err();
        let outcomes: Vec<_> = page.batch.outcomes().collect();
        let fault = fault.filter(|_| outcomes.contains(&None));
        PageOutcome { outcomes, indices: page.indices, fault }
    }

    /// Dead letters of records that cannot be mapped are stored beside the writes: neither a store that does not answer
    /// nor a blocked index may hold the other back.
    async fn work_off(&self, page: &mut Page, bounds: &Bounds) -> Result<(), DeliveryFault> {
        // One for each record, and for each of its reads as long as letters are stored.
        let (letters, mut arriving) = mpsc::channel(2 * page.len() + 1);
        for refused in std::mem::take(&mut page.refused) {
            // There is room, and the receiver lives.
            let _ = letters.try_send((refused.record, self.record_letter(page, &refused)));
        }
        let storing = self.store_arriving(&mut arriving, |(_, letter)| Some(letter.clone()), bounds);
        let (written, (stored, fault)) = tokio::join!(self.write_all(page, letters, bounds), storing);
        for (record, _) in stored {
            page.batch.dead_lettered(record);
        }
        match written {
            Err(written) => Err(written.or_worse(fault)),
            Ok(()) => fault.map_or(Ok(()), Err),
        }
    }

    /// Makes sure that the index is there. Deletes alone never make one.
    async fn ensure(&self, index: &IndexName, need: Need, bounds: &Bounds) -> Result<Readiness, DeliveryFault> {
        if self.indices.target(index).is_some() {
            return Ok(Readiness::Ready);
        }
        let (attempts, term) = (self.attempts(), bounds.working());
        let made = match need {
            Need::Deletes => attempts.make(term, "check for the index", || self.indices.find(index)).await,
            Need::Documents => attempts.make(term, "set up the index", || self.indices.ensure(index)).await.map(Some),
        };
        match made {
            Ok(Some(_)) => Ok(Readiness::Ready),
            Ok(None) => Ok(Readiness::Absent),
            Err(DeliveryFault::Setup(error)) if error.kind() == SetupErrorKind::Record => {
                Ok(Readiness::Refused(refusal_of(&error)))
            }
            Err(fault) => Err(fault),
        }
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts { patience: self.patience, progress: &self.progress }
    }
}

fn refusal_of(error: &SetupError) -> Refusal {
    let error_type = match error {
        SetupError::TooManyIndices { .. } => "too_many_indices",
        _ => "unusable_index",
    };
    let message = format!("{error}: {}", error.hint());
    Refusal { status: None, error_type: error_type.to_owned(), message, hint: error.hint() }
}
