//! Coalesces the work of several records: one operation for each document, and one read for all records of a key.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::{Batch, FetchSlot, Slot};
use crate::fetch::{Fetch, FetchVersion};
use crate::operation::{Address, Origin, Role};
use crate::outcome::Outcome;

impl Batch {
    /// Adds an operation; of two on one document, the one with the higher version stands, the later one
    /// where they are equal, as the index itself would decide.
    pub(super) fn coalesce(&mut self, slot: Slot) {
        let Some(operation) = &slot.waiting else {
            return;
        };
        let hash = hash_of(&self.hasher, &operation.address);
        let operations = &self.operations;
        let same = |index: &usize| {
            let other = operations.get(*index).and_then(|slot| slot.waiting.as_ref());
            other.is_some_and(|other| same_index_and_id(&other.address, &operation.address))
        };
        let earlier = self.by_document.find(hash, same).copied();
        let new = self.operations.len();
        let Some(earlier) = earlier else {
            self.operations.push(slot);
            let (operations, hasher) = (&self.operations, &self.hasher);
            self.by_document.insert_unique(hash, new, |index| rehash(operations, hasher, *index));
            return;
        };
        let newer = operation.version;
        let stands = operations.get(earlier).and_then(|slot| slot.waiting.as_ref()).map(|earlier| earlier.version);
        let Some(place) = self.operations.get_mut(earlier) else { return };
        // The remaining operation keeps or takes the earlier one's place, so the table of documents stays valid.
        if stands.is_some_and(|version| version > newer) {
            place.coalesced.push(slot.record);
        } else {
            let replaced = std::mem::replace(place, slot);
            place.coalesced.extend(replaced.coalesced);
            place.coalesced.push(replaced.record);
        }
    }

    /// One fetch for each key, at the highest version, carrying all its records' addresses.
    pub(super) fn join(&mut self, record: usize, fetch: Fetch) {
        let Some(index) = self.fetch_by_key.get(fetch.key.canonical()).copied() else {
            self.fetch_by_key.insert(fetch.key.canonical().to_owned(), self.fetches.len());
            self.fetches.push(FetchSlot { owner: record, fetch, waiting: true });
            return;
        };
        self.hand_over(index, record, fetch.version, fetch.addresses);
    }

    /// Adds another record to a fetch: the one with the higher version, else the later one, owns it.
    fn hand_over(&mut self, index: usize, record: usize, version: FetchVersion, addresses: Vec<Address>) {
        let Some(slot) = self.fetches.get_mut(index) else {
            return;
        };
        slot.fetch.add_addresses(addresses);
        let coalesced = if version >= slot.fetch.version {
            slot.fetch.version = version;
            std::mem::replace(&mut slot.owner, record)
        } else {
            record
        };
        if let Some(record) = self.records.get_mut(coalesced) {
            record.joined = Some(index);
        }
        self.close(coalesced, Some(Outcome::Coalesced));
    }

    /// A live document is written by one of two: its records' images, or the read of its item. Where one
    /// record of a key needs the read (a view type without new images), the read replaces all of them.
    pub(super) fn absorb_operations(&mut self) {
        for index in 0..self.operations.len() {
            let Some((record, fetch)) = self.absorbable(index) else {
                continue;
            };
            let Some(operation) = self.operations.get_mut(index).and_then(|slot| slot.waiting.take()) else {
                continue;
            };
            self.hand_over(fetch, record, FetchVersion::OfChange(operation.version), vec![operation.address]);
            self.join_coalesced(index, fetch);
        }
        let (operations, hasher) = (&self.operations, &self.hasher);
        self.by_document.clear();
        for (index, slot) in operations.iter().enumerate() {
            if let Some(operation) = &slot.waiting {
                let hash = hash_of(hasher, &operation.address);
                self.by_document.insert_unique(hash, index, |index| rehash(operations, hasher, *index));
            }
        }
    }

    /// The record of an operation from an image, and the waiting fetch of its key.
    fn absorbable(&self, index: usize) -> Option<(usize, usize)> {
        let slot = self.operations.get(index)?;
        let operation = slot.waiting.as_ref()?;
        if operation.role == Role::Archive || operation.origin != Origin::Image {
            return None;
        }
        let keys = &self.records.get(slot.record)?.meta.keys;
        let fetch = *self.fetch_by_key.get(keys)?;
        self.fetches.get(fetch).filter(|fetch| fetch.waiting).map(|_| (slot.record, fetch))
    }
}

/// Whether both name one document. Routing is not compared: one id has one routing (ADR 2).
fn same_index_and_id(left: &Address, right: &Address) -> bool {
    left.id == right.id && left.index == right.index
}

fn hash_of(hasher: &DefaultHashBuilder, address: &Address) -> u64 {
    hasher.hash_one((&address.index, &address.id))
}

fn rehash(operations: &[Slot], hasher: &DefaultHashBuilder, index: usize) -> u64 {
    let operation = operations.get(index).and_then(|slot| slot.waiting.as_ref());
    operation.map_or(0, |operation| hash_of(hasher, &operation.address))
}
