//! A mapped page to its outcomes: items are read, operations written, dead letters stored.
//!
//! It returns when each record has its outcome, or when it has to stop; what has no outcome then is undecided, and
//! no checkpoint may pass it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use streamdex_dynamodb::convert::table_image;
use streamdex_dynamodb::item::{Found, ItemReader};
use streamdex_dynamodb::time::now;
use streamdex_mapping::batch::{RECORD_ORDINAL, operation_ordinal};
use streamdex_mapping::{
    Action, Address, DocumentId, FetchHandle, IndexName, Key, MapError, Mapper, Operation, OperationHandle, Outcome,
    Role,
};
use streamdex_sink::Permit;
use streamdex_sink::index::{SetupError, SetupErrorKind};
use streamdex_sink::retry::Jitter;
use streamdex_sink::writer::{BulkWriter, Decision, Patience, Refusal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::attempt::{Attempts, schedule};
use crate::bounds::Bounds;
use crate::fault::DeliveryFault;
use crate::indices::IndexSetup;
use crate::letter::{DeadLetter, DeadLetterStore, FORMAT, LetterAddress, LetterKey, LetterRole};
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

/// What came of the operations of one index.
#[derive(Default)]
struct Written {
    /// In the order of the operations; none where they were not sent.
    decisions: Vec<Decision>,
    /// The places of refused operations whose dead letters are stored.
    stored: BTreeSet<usize>,
    fault: Option<DeliveryFault>,
}

/// Whose dead letter it is.
enum Whose {
    Record(usize),
    Item(FetchHandle),
}

type LetterSender = mpsc::Sender<(Whose, DeadLetter)>;

/// So many dead letters are stored at once.
const LETTERS: usize = 100;

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
        // At most one for each record, and one for each of its reads.
        let (letters, mut arriving) = mpsc::channel(2 * page.len() + 1);
        for refused in std::mem::take(&mut page.refused) {
            // There is room, and the receiver lives.
            let _ = letters.try_send((Whose::Record(refused.record), self.record_letter(page, &refused)));
        }
        let storing = self.store_arriving(&mut arriving, |(_, letter)| Some(letter.clone()), bounds);
        let (written, (stored, fault)) = tokio::join!(self.write_all(page, letters, bounds), storing);
        for (whose, _) in stored {
            match whose {
                Whose::Record(record) => page.batch.dead_lettered(record),
                Whose::Item(handle) => page.batch.unresolvable(handle),
            }
        }
        match written {
            Err(written) => Err(written.or_worse(fault)),
            Ok(()) => fault.map_or(Ok(()), Err),
        }
    }

    /// Reads and writes in rounds, until no answer asks for another one.
    async fn write_all(&self, page: &mut Page, letters: LetterSender, bounds: &Bounds) -> Result<(), DeliveryFault> {
        let (schedule, mut jitter) = (schedule(), Jitter::default());
        let (mut open, mut progressed_at) = (usize::MAX, Instant::now());
        // Items that cannot be mapped: their letters are being stored.
        let mut given_up = BTreeSet::new();
        for round in 0.. {
            self.read_items(page, (&letters, &mut given_up), bounds).await?;
            let operations = page.batch.take_operations();
            if operations.is_empty() {
                break;
            }
            self.write(page, operations, bounds).await?;
            let to_read_again = page.batch.fetches().into_iter().filter(|handle| !given_up.contains(handle)).count();
            if to_read_again == 0 {
                break;
            }
            if to_read_again < open {
                (open, progressed_at) = (to_read_again, Instant::now());
            } else if progressed_at.elapsed() >= self.attempts().limit() {
                return Err(DeliveryFault::NoProgress(progressed_at.elapsed()));
            }
            bounds.working().sleep(schedule.delay(round, None, &mut jitter)).await?;
        }
        Ok(())
    }

    /// Reads every item that is asked for, and maps what is there now.
    async fn read_items(
        &self,
        page: &mut Page,
        (letters, given_up): (&LetterSender, &mut BTreeSet<FetchHandle>),
        bounds: &Bounds,
    ) -> Result<(), DeliveryFault> {
        let mut handles = page.batch.fetches();
        handles.retain(|handle| !given_up.contains(handle));
        if handles.is_empty() {
            return Ok(());
        }
        let reader = self.reader.as_ref().ok_or(DeliveryFault::NoReader)?;
        let fetch = |handle: &FetchHandle| page.batch.fetch(*handle).map(|(fetch, _)| fetch.key.clone());
        let keys: Vec<Key> = handles.iter().filter_map(fetch).collect();
        let reads = self.attempts().make(bounds.working(), "read items", || reader.read(&keys)).await?;
        for (handle, read) in handles.into_iter().zip(reads) {
            // Mapping takes time, and others have to get on.
            tokio::task::yield_now().await;
            if bounds.cancel.is_cancelled() {
                return Err(DeliveryFault::Cancelled(None));
            }
            let Some((fetch, owner)) = page.batch.fetch(handle) else { continue };
            let resolved = match read.found {
                Found::Refused(error) => Err(("item_not_readable", error.to_string())),
                Found::Item(item) => self.mapper.resolve(fetch, Some(&table_image(&item)), read.at).map_err(said),
                Found::Absent => self.mapper.resolve(fetch, None, read.at).map_err(said),
            };
            match resolved {
                Ok(operations) => page.batch.resolved(handle, operations),
                Err((reason, error)) => {
                    let address = fetch.addresses.first().cloned();
                    let letter = self.record_letter(page, &RefusedRecord { record: owner, address, reason, error });
                    given_up.insert(handle);
                    // There is room; once nothing is stored any more, the record stays undecided.
                    let _ = letters.try_send((Whose::Item(handle), letter));
                }
            }
        }
        Ok(())
    }

    /// Writes operations, index by index at the same time, and takes the writer's decisions.
    async fn write(
        &self,
        page: &mut Page,
        operations: Vec<(OperationHandle, Operation)>,
        bounds: &Bounds,
    ) -> Result<(), DeliveryFault> {
        let mut groups: BTreeMap<IndexName, (Vec<Sent>, Vec<Operation>)> = BTreeMap::new();
        for (handle, operation) in operations {
            let (sent, group) = groups.entry(operation.address.index.clone()).or_default();
            sent.push(Sent::of(handle, &operation));
            group.push(operation);
        }
        page.indices.extend(groups.keys().map(|index| index.as_str().to_owned()));
        let shared = &*page;
        let writes = groups.into_iter().map(|(index, (sent, group))| async move {
            let written = self.write_group(shared, &index, (&sent, group), bounds).await;
            (sent, written)
        });
        let mut fault: Option<DeliveryFault> = None;
        for (sent, written) in join_all(writes).await {
            let Written { decisions, stored, fault: met } = written;
            fault = met.into_iter().fold(fault, |known, met| Some(met.or_worse(known)));
            for (place, (sent, decision)) in sent.into_iter().zip(decisions).enumerate() {
                match decision {
                    Decision::Done(outcome) => page.batch.decide(sent.handle, outcome),
                    Decision::ReadAgain => page.batch.read_again(sent.handle),
                    Decision::Stopped(stopped) => fault = Some(DeliveryFault::Writer(stopped).or_worse(fault)),
                    Decision::Refused(_) if stored.contains(&place) => {
                        page.batch.decide(sent.handle, Outcome::DeadLettered);
                    }
                    // Undecided: its letter is not stored.
                    Decision::Refused(_) => {}
                }
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Writes the operations of one index. What is refused is stored as it arises, while its neighbours may still wait.
    async fn write_group(
        &self,
        page: &Page,
        index: &IndexName,
        (sent, operations): (&[Sent], Vec<Operation>),
        bounds: &Bounds,
    ) -> Written {
        let unusable = match self.ensure(index, bounds).await {
            Ok(unusable) => unusable,
            Err(fault) => return Written { fault: Some(fault), ..Written::default() },
        };
        let (refusals, mut arriving) = mpsc::channel(operations.len().max(1));
        let letter = |(place, refusal): &(usize, Refusal)| {
            sent.get(*place).map(|sent| self.operation_letter(page, sent, refusal))
        };
        let storing = self.store_arriving(&mut arriving, letter, bounds);
        let writing = self.write_or_refuse(operations, unusable, bounds.permit.clone(), refusals);
        let (decisions, (stored, fault)) = tokio::join!(writing, storing);
        Written { decisions, stored: stored.into_iter().map(|(place, _)| place).collect(), fault }
    }

    /// Stores letters as they arrive, until the last one. Returns what was stored.
    async fn store_arriving<T>(
        &self,
        arriving: &mut mpsc::Receiver<T>,
        letter: impl Fn(&T) -> Option<DeadLetter>,
        bounds: &Bounds,
    ) -> (Vec<T>, Option<DeliveryFault>) {
        let (mut stored, mut batch) = (Vec::new(), Vec::new());
        while arriving.recv_many(&mut batch, LETTERS).await > 0 {
            let letters: Vec<DeadLetter> = batch.iter().filter_map(&letter).collect();
            if let Err(fault) = self.store(&letters, bounds).await {
                return (stored, Some(fault));
            }
            stored.append(&mut batch);
        }
        (stored, None)
    }

    async fn write_or_refuse(
        &self,
        operations: Vec<Operation>,
        unusable: Option<Refusal>,
        permit: Option<Arc<dyn Permit>>,
        refusals: mpsc::Sender<(usize, Refusal)>,
    ) -> Vec<Decision> {
        let Some(refusal) = unusable else { return self.writer.write_reporting(operations, permit, refusals).await };
        for place in 0..operations.len() {
            // There is room, and the receiver lives.
            let _ = refusals.try_send((place, refusal.clone()));
        }
        operations.iter().map(|_| Decision::Refused(refusal.clone())).collect()
    }

    /// Makes sure that the index is there. Where the records ask for one that they must not have, that is their fault
    /// alone: the refusal of their operations.
    async fn ensure(&self, index: &IndexName, bounds: &Bounds) -> Result<Option<Refusal>, DeliveryFault> {
        if self.indices.target(index).is_some() {
            return Ok(None);
        }
        match self.attempts().make(bounds.working(), "set up the index", || self.indices.ensure(index)).await {
            Err(DeliveryFault::Setup(error)) if error.kind() == SetupErrorKind::Record => Ok(Some(refusal_of(&error))),
            made => made.map(|_| None),
        }
    }

    async fn store(&self, letters: &[DeadLetter], bounds: &Bounds) -> Result<(), DeliveryFault> {
        if letters.is_empty() {
            return Ok(());
        }
        self.attempts().make(bounds.storing(), "store dead letters", || self.letters.put(letters)).await?;
        for letter in letters {
            tracing::warn!(letter = %letter.key, reason = letter.reason, error = letter.error, "dead letter");
        }
        Ok(())
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts { patience: self.patience, progress: &self.progress }
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

fn said(error: MapError) -> (&'static str, String) {
    (error.name(), error.to_string())
}

fn refusal_of(error: &SetupError) -> Refusal {
    let error_type = match error {
        SetupError::TooManyIndices { .. } => "too_many_indices",
        _ => "unusable_index",
    };
    let message = format!("{error}: {}", error.hint());
    Refusal { status: None, error_type: error_type.to_owned(), message, hint: error.hint() }
}
