//! A mapped page to its outcomes: items are read, operations written, dead letters stored.
//!
//! It returns when each record has its outcome, or when it has to stop; what has no outcome then is undecided, and
//! no checkpoint may pass it.

mod slices;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::item::ItemReader;
use streamdex_dynamodb::time::now;
use streamdex_mapping::batch::{RECORD_ORDINAL, operation_ordinal};
use streamdex_mapping::{
    Action, Address, DocumentId, IndexName, Mapped, Mapper, Operation, OperationHandle, Outcome, Role,
};
use streamdex_sink::Permit;
use streamdex_sink::index::{SetupError, SetupErrorKind};
use streamdex_sink::retry::{Jitter, RetrySchedule};
use streamdex_sink::writer::{BulkWriter, Patience, Refusal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fault::DeliveryFault;
use crate::indices::IndexSetup;
use crate::letter::{DeadLetter, DeadLetterStore, FORMAT, LetterAddress, LetterKey, LetterRole};
use crate::memory::ReadMemory;
use crate::page::{Page, RefusedRecord};
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

/// What the delivery of a page depends on.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Delivery returns early when this is cancelled.
    pub cancel: CancellationToken,
    /// Nothing is written without it, where there is one.
    pub permit: Option<Arc<dyn Permit>>,
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

/// What is kept of an operation while the writer has it: enough for its dead letter.
struct Sent {
    handle: OperationHandle,
    address: Address,
    version: u64,
    role: Role,
    /// An archive copy cannot be read again, so its letter keeps it.
    archive: Option<Vec<u8>>,
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

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// One line per change, and a reminder each minute.
const REMINDER: Duration = Duration::from_secs(60);

// === impl Bounds ===

impl From<CancellationToken> for Bounds {
    fn from(cancel: CancellationToken) -> Bounds {
        Bounds { cancel, permit: None }
    }
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

    async fn work_off(&self, page: &mut Page, bounds: &Bounds) -> Result<(), DeliveryFault> {
        let written = self.write_all(page, bounds).await;
        // Last, and whatever became of the writes: a store of letters that does not answer must not hold
        // back the neighbours of a bad record.
        let stored = self.store_refused(page, &bounds.cancel).await;
        written.and(stored)
    }

    /// Reads and writes in rounds, until no answer asks for another one.
    async fn write_all(&self, page: &mut Page, bounds: &Bounds) -> Result<(), DeliveryFault> {
        let cancel = &bounds.cancel;
        let schedule = RetrySchedule::new(FIRST_WAIT, LONGEST_WAIT);
        let mut jitter = Jitter::default();
        let (mut open, mut progressed_at) = (usize::MAX, Instant::now());
        for round in 0.. {
            if !self.pass(page, bounds).await? {
                break;
            }
            let to_read_again = page.batch.fetches().len();
            if to_read_again == 0 {
                break;
            }
            if to_read_again < open {
                (open, progressed_at) = (to_read_again, Instant::now());
            } else if progressed_at.elapsed() >= self.limit() {
                return Err(DeliveryFault::NoProgress(progressed_at.elapsed()));
            }
            sleep(schedule.delay(round, None, &mut jitter), cancel).await?;
        }
        Ok(())
    }

    /// Dead letters of records that could not be mapped.
    async fn store_refused(&self, page: &mut Page, cancel: &CancellationToken) -> Result<(), DeliveryFault> {
        let refused = std::mem::take(&mut page.refused);
        let letters: Vec<_> = refused.iter().map(|refused| self.record_letter(page, refused)).collect();
        self.store(&letters, cancel).await?;
        for refused in refused {
            page.batch.dead_lettered(refused.record);
        }
        Ok(())
    }

    /// Makes sure that the index is there. Deletes alone never make one.
    async fn ensure(
        &self,
        index: &IndexName,
        group: &[(Operation, Instant)],
        cancel: &CancellationToken,
    ) -> Result<Readiness, DeliveryFault> {
        if self.indices.target(index).is_some() {
            return Ok(Readiness::Ready);
        }
        let deletes_only = group.iter().all(|(operation, _)| operation.action == Action::Delete);
        let made = if deletes_only {
            self.patiently(cancel, "look for the index", || self.indices.find(index)).await
        } else {
            self.patiently(cancel, "set up the index", || self.indices.ensure(index)).await.map(Some)
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

    async fn store(&self, letters: &[DeadLetter], cancel: &CancellationToken) -> Result<(), DeliveryFault> {
        if letters.is_empty() {
            return Ok(());
        }
        for letter in letters {
            tracing::warn!(letter = %letter.key, reason = letter.reason, error = letter.error, "dead letter");
        }
        self.patiently(cancel, "store dead letters", || self.letters.put(letters)).await
    }

    /// Tries until it succeeds, until trying again is of no use, or until patience or time is over.
    async fn patiently<T, E, F>(
        &self,
        cancel: &CancellationToken,
        what: &'static str,
        attempt: impl FnMut() -> F,
    ) -> Result<T, DeliveryFault>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<DeliveryFault>,
    {
        self.patiently_for(self.limit(), cancel, what, attempt).await
    }

    /// The same, where `limit` is how long it may fail.
    async fn patiently_for<T, E, F>(
        &self,
        limit: Duration,
        cancel: &CancellationToken,
        what: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, DeliveryFault>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<DeliveryFault>,
    {
        let schedule = RetrySchedule::new(FIRST_WAIT, LONGEST_WAIT);
        let mut jitter = Jitter::default();
        let begun = Instant::now();
        let mut said: Option<(String, Instant)> = None;
        let mut failing = None;
        for round in 0.. {
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(DeliveryFault::Cancelled(said.map(|(error, _)| error))),
                outcome = attempt() => outcome,
            };
            let error: DeliveryFault = match outcome {
                Ok(value) => {
                    self.progress.note_success();
                    return Ok(value);
                }
                Err(error) => error.into(),
            };
            if begun.elapsed() >= limit || error.is_final(self.patience) {
                return Err(error);
            }
            failing.get_or_insert_with(|| self.progress.failing());
            let text = error.to_string();
            let again = |(last, at): &(String, Instant)| *last != text || at.elapsed() >= REMINDER;
            if said.as_ref().is_none_or(again) {
                tracing::warn!(error = text, hint = error.hint(), "cannot {what}, trying again");
                said = Some((text, Instant::now()));
            }
            // A cancellation is noticed at the next attempt.
            let _ = sleep(schedule.delay(round, None, &mut jitter), cancel).await;
        }
        Err(DeliveryFault::Cancelled(None))
    }

    /// How long one thing may fail.
    fn limit(&self) -> Duration {
        match self.patience {
            Patience::Endless => Duration::MAX,
            Patience::OneShot { later, .. } if self.progress.is_made() => later,
            Patience::OneShot { at_start, .. } => at_start,
        }
    }

    fn record_letter(&self, page: &Page, refused: &RefusedRecord) -> DeadLetter {
        let address = refused.address.as_ref().map(|address| self.letter_address(address));
        DeadLetter {
            address,
            reason: refused.reason.to_owned(),
            error: refused.error.clone(),
            ..self.letter(page, refused.record, RECORD_ORDINAL)
        }
    }

    fn operation_letter(&self, page: &Page, sent: &Sent, refusal: &Refusal) -> DeadLetter {
        let (record, place) = page.batch.origin(sent.handle).unwrap_or_default();
        let letter = DeadLetter {
            role: LetterRole::from(sent.role),
            address: Some(self.letter_address(&sent.address)),
            version: Some(sent.version),
            reason: refusal.error_type.clone(),
            error: refusal.message.clone(),
            ..self.letter(page, record, operation_ordinal(place))
        };
        match &sent.archive {
            Some(document) => letter.with_document(document),
            None => letter,
        }
    }

    fn letter(&self, page: &Page, record: usize, ordinal: u32) -> DeadLetter {
        let meta = page.batch.meta(record);
        let key = LetterKey { stream: page.label(record).to_owned(), record: page.identity(record), ordinal };
        DeadLetter {
            format: FORMAT,
            key,
            table: self.table.clone(),
            at: now(),
            created: meta.and_then(|meta| meta.created).map(|created| u64::from(created.seconds())),
            keys: meta.map(|meta| meta.keys.clone()).filter(|keys| !keys.is_empty()),
            role: LetterRole::Live,
            address: None,
            version: None,
            reason: String::new(),
            error: String::new(),
            document: None,
            document_omitted: false,
        }
    }

    fn letter_address(&self, address: &Address) -> LetterAddress {
        LetterAddress {
            index: address.index.as_str().to_owned(),
            generation: self.indices.target(&address.index).map(|target| target.generation),
            id: DocumentId::as_str(&address.id).to_owned(),
            routing: address.routing.as_deref().map(str::to_owned),
        }
    }
}

impl Sent {
    fn of(handle: OperationHandle, operation: &Operation) -> Sent {
        let archive = match (&operation.action, operation.role) {
            (Action::Index(document), Role::Archive) => Some(document.clone()),
            _ => None,
        };
        Sent {
            handle,
            address: operation.address.clone(),
            version: operation.version.get(),
            role: operation.role,
            archive,
        }
    }
}

/// What is sent beside a dead letter of an item that was read.
fn deletes(sent: Option<Mapped>) -> Vec<Operation> {
    match sent {
        Some(Mapped::Operations(operations)) => operations,
        _ => Vec::new(),
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

async fn sleep(time: Duration, cancel: &CancellationToken) -> Result<(), DeliveryFault> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(DeliveryFault::Cancelled(None)),
        () = tokio::time::sleep(time) => Ok(()),
    }
}
