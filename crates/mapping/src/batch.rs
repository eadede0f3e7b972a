//! The records of one page: joins fetches by key, coalesces operations by document, and adds up one outcome per record.
//!
//! Architecture invariant: every record that was pushed ends with exactly one outcome, or is counted as
//! undecided; `records == sum(outcomes) + undecided`.

mod coalesce;

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::fetch::Fetch;
use crate::mapped::Mapped;
use crate::operation::{Action, Operation};
use crate::outcome::{Outcome, Tally};
use crate::version::{CreationTime, SequenceNumber};

/// The records of one page and what is to be done about them.
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Record>,
    operations: Vec<Slot>,
    fetches: Vec<FetchSlot>,
    fetch_by_key: HashMap<String, usize>,
    /// Waiting operations by (index, id).
    by_document: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

/// The part of a record that is kept until it is decided: enough for its dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordMeta {
    /// Its place in the shard.
    pub sequence: Option<SequenceNumber>,
    /// When it was created.
    pub created: Option<CreationTime>,
    /// Its key as DynamoDB JSON, ascending names; empty where it could not be read.
    pub keys: String,
}

/// An operation that was taken out of a [`Batch`] and is to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationHandle(usize);

/// An item that must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchHandle(usize);

#[derive(Debug)]
struct Record {
    meta: Arc<RecordMeta>,
    /// Parts (operations, a fetch, a mapping error) that have no outcome yet.
    open: usize,
    /// The first outcome, in order of precedence, of the parts that have one.
    outcome: Option<Outcome>,
    /// The fetch that it was coalesced into.
    joined: Option<usize>,
    /// Later records whose versions rest on this one's time.
    holds: Vec<usize>,
}

#[derive(Debug)]
struct Slot {
    record: usize,
    /// Which of its record's operations it is.
    place: usize,
    /// The fetch that it came from.
    fetch: Option<usize>,
    /// `None` once it is taken or coalesced.
    waiting: Option<Operation>,
    /// The records whose operations on the document it was sent in place of. They are decided when it is.
    coalesced: Vec<usize>,
}

#[derive(Debug)]
struct FetchSlot {
    /// The record that it is decided for; the others are coalesced into it.
    owner: usize,
    fetch: Fetch,
    waiting: bool,
}

impl Batch {
    /// Adds a record that was mapped. Its place, the number of records before it, is given back.
    pub fn push(&mut self, meta: RecordMeta, mapped: Mapped) -> usize {
        let record = self.new_record(meta);
        self.enter(record, mapped);
        record
    }

    /// Adds a record that becomes a dead letter, with the operations that are sent anyway. It stays undecided until
    /// [`Batch::dead_lettered`]. Returns its place.
    pub fn push_refused(&mut self, meta: RecordMeta, sent: Option<Mapped>) -> usize {
        let record = self.new_record(meta);
        self.open(record);
        if let Some(mapped) = sent {
            self.enter(record, mapped);
        }
        record
    }

    /// The version of record `later` rests on the time of record `earlier`, which is of the same item and in this page:
    /// while `later` is undecided, `earlier` is too, so that both come again together.
    pub fn hold(&mut self, earlier: usize, later: usize) {
        if let Some(record) = self.records.get_mut(earlier).filter(|_| earlier != later) {
            record.holds.push(later);
        }
    }

    fn new_record(&mut self, meta: RecordMeta) -> usize {
        self.records.push(Record { meta: Arc::new(meta), open: 0, outcome: None, joined: None, holds: Vec::new() });
        self.records.len() - 1
    }

    fn enter(&mut self, record: usize, mapped: Mapped) {
        match mapped {
            Mapped::Nothing(outcome) => self.settle(record, outcome),
            Mapped::Operations(operations) => {
                for (place, operation) in operations.into_iter().enumerate() {
                    self.open(record);
                    self.coalesce(Slot::waiting(record, place, None, operation));
                }
            }
            Mapped::Fetch { fetch, archive } => {
                self.open(record);
                self.join(record, fetch);
                if let Some(operation) = archive {
                    self.open(record);
                    self.coalesce(Slot::waiting(record, ARCHIVE_PLACE, None, operation));
                }
            }
        }
    }

    /// The dead letter of a record that cannot be mapped was stored.
    pub fn dead_lettered(&mut self, record: usize) {
        self.close(record, Some(Outcome::DeadLettered));
    }

    /// The items to read now: one for each key, whatever the number of its records.
    pub fn fetches(&mut self) -> Vec<FetchHandle> {
        if !self.fetches.is_empty() {
            self.absorb_operations();
        }
        let waiting = self.fetches.iter().enumerate().filter(|(_, slot)| slot.waiting);
        waiting.map(|(index, _)| FetchHandle(index)).collect()
    }

    /// How many items are to be read.
    pub fn to_read(&self) -> usize {
        self.fetches.iter().filter(|slot| slot.waiting).count()
    }

    /// What to read for `handle`, and the record that it is decided for.
    pub fn fetch(&self, handle: FetchHandle) -> Option<(&Fetch, usize)> {
        self.fetches.get(handle.0).map(|slot| (&slot.fetch, slot.owner))
    }

    /// Records the operations of an item that was read; none means that no route takes it.
    pub fn resolved(&mut self, handle: FetchHandle, operations: Vec<Operation>) {
        let Some(slot) = self.fetches.get_mut(handle.0) else {
            return;
        };
        slot.waiting = false;
        let owner = slot.owner;
        // What is written now may have to be deleted when it is read again and has moved.
        slot.fetch.add_addresses(operations.iter().map(|operation| operation.address.clone()));
        if operations.is_empty() {
            return self.close(owner, Some(Outcome::Filtered));
        }
        for (place, operation) in operations.into_iter().enumerate() {
            self.open(owner);
            self.coalesce(Slot::waiting(owner, place, Some(handle.0), operation));
        }
        self.close(owner, None);
    }

    /// Records that an item was read but cannot be mapped. Its record, which is returned, stays undecided until
    /// [`Batch::dead_lettered`]; these deletes are sent anyway.
    pub fn unresolvable(&mut self, handle: FetchHandle, deletes: Vec<Operation>) -> Option<usize> {
        let slot = self.fetches.get_mut(handle.0)?;
        slot.waiting = false;
        let owner = slot.owner;
        for (place, operation) in deletes.into_iter().enumerate() {
            self.open(owner);
            self.coalesce(Slot::waiting(owner, place, Some(handle.0), operation));
        }
        Some(owner)
    }

    /// Takes the operations that are to be sent now, at most one for each document.
    pub fn take_operations(&mut self) -> Vec<(OperationHandle, Operation)> {
        self.by_document.clear();
        let slots = self.operations.iter_mut().enumerate();
        slots.filter_map(|(index, slot)| Some((OperationHandle(index), slot.waiting.take()?))).collect()
    }

    /// An operation that was taken has this outcome.
    pub fn decide(&mut self, handle: OperationHandle, outcome: Outcome) {
        let Some(slot) = self.operations.get_mut(handle.0) else { return };
        let (record, coalesced) = (slot.record, std::mem::take(&mut slot.coalesced));
        self.close(record, Some(outcome));
        for record in coalesced {
            self.close(record, Some(Outcome::Coalesced));
        }
    }

    /// An operation that was taken carried what was read, and its answer is not final: its item is to be
    /// read again. An operation from an image has no item to read and is left undecided.
    pub fn read_again(&mut self, handle: OperationHandle) {
        let Some((record, fetch)) = self.operations.get(handle.0).and_then(|slot| Some((slot.record, slot.fetch?)))
        else {
            return;
        };
        let Some(slot) = self.fetches.get_mut(fetch) else {
            return;
        };
        if !slot.waiting {
            slot.waiting = true;
            self.open(record);
        }
        self.close(record, None);
        self.join_coalesced(handle.0, fetch);
    }

    /// The fetch that an operation came from, where it carries what was read.
    pub fn fetch_of(&self, handle: OperationHandle) -> Option<FetchHandle> {
        self.operations.get(handle.0).and_then(|slot| slot.fetch).map(FetchHandle)
    }

    /// The record that an operation belongs to, and which of its operations it is.
    pub fn origin(&self, handle: OperationHandle) -> Option<(usize, usize)> {
        self.operations.get(handle.0).map(|slot| (slot.record, slot.place))
    }

    /// What is kept of a record.
    pub fn meta(&self, record: usize) -> Option<&RecordMeta> {
        self.records.get(record).map(|record| &*record.meta)
    }

    /// The same, to be kept.
    pub fn shared_meta(&self, record: usize) -> Option<Arc<RecordMeta>> {
        self.records.get(record).map(|record| Arc::clone(&record.meta))
    }

    /// How many records were pushed.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record was pushed.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The outcome of each record, in order; `None` while it is undecided.
    pub fn outcomes(&self) -> impl Iterator<Item = Option<Outcome>> + '_ {
        self.records.iter().map(|record| {
            let is_held =
                record.holds.iter().filter_map(|later| self.records.get(*later)).any(|later| !self.is_done(later));
            record.outcome.filter(|_| self.is_done(record) && !is_held)
        })
    }

    fn is_done(&self, record: &Record) -> bool {
        record.open == 0 && !self.waits_for_fetch(record)
    }

    /// The records that an operation was sent in place of wait for the fetch that is now to decide it.
    fn join_coalesced(&mut self, operation: usize, fetch: usize) {
        let coalesced = self.operations.get_mut(operation).map(|slot| std::mem::take(&mut slot.coalesced));
        for record in coalesced.unwrap_or_default() {
            if let Some(record) = self.records.get_mut(record) {
                record.joined = Some(fetch);
            }
            self.close(record, Some(Outcome::Coalesced));
        }
    }

    /// The outcome of each record if nothing is sent, in order, regardless of the records that must be delivered again
    /// with it. A record whose operations were all coalesced into others has that outcome.
    pub fn outcomes_unsent(&self) -> Vec<Option<Outcome>> {
        let mut coalesced = vec![0; self.records.len()];
        for record in self.operations.iter().flat_map(|slot| &slot.coalesced) {
            if let Some(count) = coalesced.get_mut(*record) {
                *count += 1;
            }
        }
        let unsent = |(record, coalesced): (&Record, usize)| {
            let outcome = record.outcome.filter(|_| self.is_done(record));
            let is_coalesced = coalesced > 0 && coalesced == record.open;
            let parts = [record.outcome, Some(Outcome::Coalesced)];
            if is_coalesced { parts.into_iter().flatten().min() } else { outcome }
        };
        self.records.iter().zip(coalesced).map(unsent).collect()
    }

    /// A record that was coalesced into a fetch handed its addresses over. While the fetch is undecided it must come
    /// again with it: alone, the fetch's own record does not know of those addresses.
    fn waits_for_fetch(&self, record: &Record) -> bool {
        let owner = record.joined.and_then(|fetch| self.records.get(self.fetches.get(fetch)?.owner));
        owner.is_some_and(|owner| owner.open > 0)
    }

    /// The count of all outcomes, and the number of records without one.
    pub fn tally(&self) -> (Tally, u64) {
        let (mut tally, mut undecided) = (Tally::default(), 0);
        for outcome in self.outcomes() {
            match outcome {
                Some(outcome) => tally.add(outcome),
                None => undecided += 1,
            }
        }
        (tally, undecided)
    }

    fn open(&mut self, record: usize) {
        if let Some(record) = self.records.get_mut(record) {
            record.open += 1;
        }
    }

    /// Closes one part of a record, with its own outcome or without one.
    fn close(&mut self, record: usize, outcome: Option<Outcome>) {
        if let Some(record) = self.records.get_mut(record) {
            record.open = record.open.saturating_sub(1);
            record.outcome = [record.outcome, outcome].into_iter().flatten().min();
        }
    }

    fn settle(&mut self, record: usize, outcome: Outcome) {
        self.open(record);
        self.close(record, Some(outcome));
    }
}

impl Slot {
    fn waiting(record: usize, place: usize, fetch: Option<usize>, operation: Operation) -> Slot {
        Slot { record, place, fetch, waiting: Some(operation), coalesced: Vec::new() }
    }
}

/// The place of an archive write whose live document is read: behind those that a read can give, one for each address.
const ARCHIVE_PLACE: usize = 1000;

/// The ordinal of a dead letter for a record as a whole.
pub const RECORD_ORDINAL: u32 = 0;

/// The ordinal of a dead letter for one of a record's operations, by its place among them (see [`Batch::origin`]).
pub fn operation_ordinal(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX - 1).saturating_add(1)
}

/// The bytes of the documents in `operations`: what a batch holds in memory.
pub fn document_bytes<'o>(operations: impl IntoIterator<Item = &'o Operation>) -> usize {
    let bytes = |operation: &Operation| match &operation.action {
        Action::Index(document) => document.len(),
        Action::Delete => 0,
    };
    operations.into_iter().map(bytes).sum()
}

#[cfg(test)]
mod tests;
