//! A page's items are read and its operations written in slices, so that no more than a bound is held.
//!
//! ```text
//! page ─▶ next keys ─▶ room ─▶ read ─▶ map ─▶ … ─▶ a write for each index ─▶ decisions
//!            ▲                                            │ beside the next reads
//!            └────────────────────────────────────────────┘
//! ```
//! Records are joined by key over the whole page before, so one slice alone writes what comes of a key.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::pin::pin;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use streamdex_dynamodb::item::{Found, ItemRead, ItemReader};
use streamdex_mapping::batch::document_bytes;
use streamdex_mapping::{
    Action, FetchHandle, Image, IndexName, Key, Mapped, Operation, Outcome, Refusal as MapRefusal,
};
use streamdex_sink::writer::{Decision, Refusal};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Duration, Instant};

use super::letters::Sent;
use super::{Delivery, LetterSender, Need, Readiness};
use crate::bounds::Bounds;
use crate::fault::DeliveryFault;
use crate::memory::{KEYS_AT_ONCE, Room};
use crate::page::{Page, RefusedRecord};

/// Reads that fail for so long become a pause with a reason, where the caller tries for ever.
const READS_FAIL_FOR: Duration = Duration::from_secs(60);
/// Mapping so many bytes takes some milliseconds, and with little memory a function has little of a processor: others,
/// and what ends it in time, have to get on.
const YIELD_AFTER: usize = 1024 * 1024;
/// What an operation takes beside its document.
const BESIDE_DOCUMENT: usize = 512;

/// What was read and mapped, and waits to be written.
#[derive(Default)]
struct Slice {
    room: Option<Room>,
    /// When the answer came that carried the item.
    answered: HashMap<FetchHandle, Instant>,
}

/// Operations on one index.
#[derive(Default)]
struct Group {
    sent: Vec<Sent>,
    operations: Vec<(Operation, Instant)>,
    /// What its operations from reads take.
    bytes: usize,
}

/// The writes that run: one for each slice and index.
#[derive(Default)]
pub(super) struct Writes<'d> {
    running: FuturesUnordered<BoxFuture<'d, Written>>,
    ended: Vec<Written>,
    fault: Option<DeliveryFault>,
}

/// What came of the operations of one slice on one index.
struct Written {
    sent: Vec<Sent>,
    /// The index, where something was sent to it.
    index: Option<IndexName>,
    /// In the order of the operations; none where they were not sent.
    decisions: Vec<Decision>,
    /// The places of refused operations whose dead letters are stored.
    stored: HashSet<usize>,
    fault: Option<DeliveryFault>,
}

impl Delivery {
    /// Reads all that waits to be read, and starts to write all that waits to be written.
    ///
    /// A slice that cannot be written does not hold back the others. After a fault nothing more is read.
    pub(super) async fn pass<'d>(
        &'d self,
        page: &mut Page,
        letters: &LetterSender,
        writes: &mut Writes<'d>,
        bounds: &'d Bounds,
    ) -> Result<(), DeliveryFault> {
        let mut waiting: VecDeque<FetchHandle> = page.batch.fetches().into();
        loop {
            let slice = self.read_slice(page, letters, &mut waiting, writes, bounds).await?;
            self.start(page, slice, bounds, writes);
            if waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads items until there is enough to write, or none is left. Writes go on beside it.
    async fn read_slice(
        &self,
        page: &mut Page,
        letters: &LetterSender,
        waiting: &mut VecDeque<FetchHandle>,
        writes: &mut Writes<'_>,
        bounds: &Bounds,
    ) -> Result<Slice, DeliveryFault> {
        let mut slice = Slice::default();
        if waiting.is_empty() {
            return Ok(slice);
        }
        let reader = self.reader.as_ref().ok_or(DeliveryFault::NoReader)?;
        while !waiting.is_empty() {
            let next = waiting.len().min(KEYS_AT_ONCE);
            let fits = match &mut slice.room {
                Some(room) => room.grow(next),
                None => {
                    slice.room = tokio::select! {
                        biased;
                        () = bounds.cancel.cancelled() => return Err(DeliveryFault::Cancelled(None)),
                        room = writes.beside(self.memory.room(next)) => room,
                    };
                    true
                }
            };
            if !fits {
                break;
            }
            let handles: Vec<FetchHandle> = waiting.drain(..next).collect();
            let key = |handle: &FetchHandle| page.batch.fetch(*handle).map(|(fetch, _)| fetch.key.clone());
            let keys: Vec<Key> = handles.iter().filter_map(key).collect();
            let reads = writes.beside(self.read(reader.as_ref(), &keys, bounds)).await?;
            settle(page, writes);
            slice.answered.extend(handles.iter().zip(&reads).map(|(handle, read)| (*handle, read.answered)));
            let (mut bytes, mut mapped) = (0, 0);
            for (handle, read) in handles.into_iter().zip(reads) {
                let size = self.resolve(page, letters, handle, &read);
                bytes += size;
                mapped += size;
                if mapped >= YIELD_AFTER {
                    mapped = 0;
                    tokio::task::yield_now().await;
                    if bounds.cancel.is_cancelled() {
                        return Err(DeliveryFault::Cancelled(None));
                    }
                }
            }
            if let Some(room) = &mut slice.room {
                room.fill(bytes);
            }
        }
        Ok(slice)
    }

    async fn read(
        &self,
        reader: &dyn ItemReader,
        keys: &[Key],
        bounds: &Bounds,
    ) -> Result<Vec<ItemRead>, DeliveryFault> {
        let attempts = self.attempts();
        let limit = attempts.limit().min(READS_FAIL_FOR);
        attempts.make_for(limit, bounds.working(), "read items", || reader.read(keys)).await
    }

    /// Maps what was read, and says how many bytes that takes.
    fn resolve(&self, page: &mut Page, letters: &LetterSender, handle: FetchHandle, read: &ItemRead) -> usize {
        let Some((fetch, owner)) = page.batch.fetch(handle) else { return 0 };
        let refused = |refusal: Box<MapRefusal>| (RefusedRecord::of(owner, &refusal), deletes(refusal.sent));
        let resolved = match &read.found {
            Found::Refused(error) => {
                let address = fetch.addresses.first().cloned();
                let (reason, error) = ("item_not_readable", error.to_string());
                Err((RefusedRecord { record: owner, address, reason, error }, Vec::new()))
            }
            Found::Item(item) => self.mapper.resolve(fetch, Some(&Image::of_item(item)), read.at).map_err(refused),
            Found::Absent => self.mapper.resolve(fetch, None, read.at).map_err(refused),
        };
        match resolved {
            Ok(operations) => {
                let bytes = operations.iter().map(size).sum();
                page.batch.resolved(handle, operations);
                bytes
            }
            Err((refused, deletes)) => {
                let letter = self.record_letter(page, &refused);
                let bytes = deletes.iter().map(size).sum();
                if let Some(record) = page.batch.unresolvable(handle, deletes) {
                    // Where nothing is stored any more, the record stays undecided.
                    let _ = letters.try_send((record, letter));
                }
                bytes
            }
        }
    }

    /// Starts to write what waits, index by index at the same time. What was read goes apart from images: it is given back
    /// where its index is paused, and its room with it.
    fn start<'d>(&'d self, page: &mut Page, slice: Slice, bounds: &'d Bounds, writes: &mut Writes<'d>) {
        let Slice { mut room, answered } = slice;
        let now = Instant::now();
        let mut groups: BTreeMap<(IndexName, bool), Group> = BTreeMap::new();
        // Deletes alone never make an index.
        let mut wanted = BTreeSet::new();
        for (handle, operation) in page.batch.take_operations() {
            let answered = page.batch.fetch_of(handle).and_then(|fetch| answered.get(&fetch).copied());
            let sent = Sent::of(page, handle, &operation);
            let key = (operation.address.index.clone(), answered.is_some());
            if operation.action != Action::Delete {
                wanted.insert(operation.address.index.clone());
            }
            groups.entry(key).or_default().add(sent, operation, answered, now);
        }
        for ((index, _), group) in groups {
            let need = if wanted.contains(&index) { Need::Documents } else { Need::Deletes };
            let part = room.as_mut().and_then(|room| room.part(group.bytes));
            writes.running.push(Box::pin(self.write((index, need), group, bounds, part)));
        }
    }

    /// Writes operations on one index. What is refused is stored as it arises, while its neighbours may still wait.
    async fn write(
        &self,
        (index, need): (IndexName, Need),
        group: Group,
        bounds: &Bounds,
        room: Option<OwnedSemaphorePermit>,
    ) -> Written {
        let Group { sent, operations, .. } = group;
        let readiness = match self.ensure(&index, need, bounds).await {
            Ok(readiness) => readiness,
            Err(fault) => return Written { fault: Some(fault), ..Written::nothing(sent) },
        };
        let index = matches!(readiness, Readiness::Ready).then_some(index);
        let (refusals, mut arriving) = mpsc::channel(operations.len().max(1));
        let letter =
            |(place, refusal): &(usize, Refusal)| sent.get(*place).map(|sent| self.operation_letter(sent, refusal));
        let storing = self.store_arriving(&mut arriving, letter, bounds);
        let writing = self.write_ready(readiness, operations, bounds, refusals);
        let (decisions, (stored, fault)) = tokio::join!(writing, storing);
        drop(room);
        let stored = stored.into_iter().map(|(place, _)| place).collect();
        Written { index, decisions, stored, fault, ..Written::nothing(sent) }
    }

    async fn write_ready(
        &self,
        readiness: Readiness,
        operations: Vec<(Operation, Instant)>,
        bounds: &Bounds,
        refusals: mpsc::Sender<(usize, Refusal)>,
    ) -> Vec<Decision> {
        match readiness {
            Readiness::Ready => self.writer.write_reporting(operations, bounds.permit.clone(), refusals).await,
            Readiness::Absent => operations.iter().map(|_| Decision::Done(Outcome::Absent)).collect(),
            Readiness::Refused(refusal) => {
                let refused = |(place, _)| {
                    // There is room, and the receiver lives.
                    let _ = refusals.try_send((place, refusal.clone()));
                    Decision::Refused(refusal.clone())
                };
                operations.iter().enumerate().map(refused).collect()
            }
        }
    }
}

/// Takes the decisions of the writes that have ended.
fn settle(page: &mut Page, writes: &mut Writes<'_>) {
    for written in std::mem::take(&mut writes.ended) {
        let Written { sent, index, decisions, stored, fault } = written;
        page.indices.extend(index.map(|index| index.as_str().to_owned()));
        fault.into_iter().for_each(|fault| writes.note(fault));
        for (place, (sent, decision)) in sent.into_iter().zip(decisions).enumerate() {
            match decision {
                Decision::Done(outcome) => page.batch.decide(sent.handle, outcome),
                Decision::ReadAgain => page.batch.read_again(sent.handle),
                Decision::Stopped(stopped) => writes.note(DeliveryFault::Writer(stopped)),
                Decision::Refused(_) if stored.contains(&place) => {
                    page.batch.decide(sent.handle, Outcome::DeadLettered);
                }
                // Undecided: its letter is not stored.
                Decision::Refused(_) => {}
            }
        }
    }
}

impl Written {
    fn nothing(sent: Vec<Sent>) -> Written {
        Written { sent, index: None, decisions: Vec::new(), stored: HashSet::new(), fault: None }
    }
}

impl Group {
    fn add(&mut self, sent: Sent, operation: Operation, answered: Option<Instant>, now: Instant) {
        if answered.is_some() {
            self.bytes += size(&operation);
        }
        self.sent.push(sent);
        self.operations.push((operation, answered.unwrap_or(now)));
    }
}

impl Writes<'_> {
    pub(super) fn note(&mut self, fault: DeliveryFault) {
        self.fault = Some(fault.or_worse(self.fault.take()));
    }

    pub(super) fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// Waits until all have ended, or items are to be read again: so many. After a fault nothing is read any more.
    pub(super) async fn ended_or_read_again(&mut self, page: &mut Page) -> usize {
        loop {
            settle(page, self);
            let to_read = page.batch.to_read();
            if to_read > 0 && self.fault.is_none() {
                return to_read;
            }
            match self.running.next().await {
                Some(written) => self.ended.push(written),
                None => return 0,
            }
        }
    }

    pub(super) fn into_result(self) -> Result<(), DeliveryFault> {
        self.fault.map_or(Ok(()), Err)
    }

    /// Does `work`, and lets writes that end meanwhile end.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(written) = self.running.next(), if !self.running.is_empty() => self.ended.push(written),
            }
        }
    }
}

fn size(operation: &Operation) -> usize {
    document_bytes([operation]) + BESIDE_DOCUMENT
}

/// What is sent beside a dead letter of an item that was read.
fn deletes(sent: Option<Mapped>) -> Vec<Operation> {
    match sent {
        Some(Mapped::Operations(operations)) => operations,
        _ => Vec::new(),
    }
}
