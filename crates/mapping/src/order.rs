//! Keeps the changes of one item in the order of their records, although creation times can go back.
//!
//! Versions begin with the second of the creation time (ADR 0001). Of two changes of one item in one page, the later one
//! takes the larger second, and all its operations do: a move between two indices is never half done.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::change::{Change, RecordError};
use crate::version::CreationTime;

/// The largest second of each item so far, over the records of a shard in their order.
#[derive(Debug, Clone, Default)]
pub struct ItemOrder {
    items: HashTable<Item>,
    hasher: DefaultHashBuilder,
    /// The number of this page, which may begin again at 0.
    page: u32,
    /// The largest second of this page.
    newest: u32,
    /// The second of the record that came last.
    latest: u32,
    /// From so many items on, those that are not needed any more are looked for.
    crowded: usize,
    steps_back: u64,
    raised: u64,
}

/// What is known of one item.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// The hash of its key. Where two items have the same, one may take the second of the other: a version that is larger
    /// than need be does no harm.
    key: u64,
    /// Its largest second.
    second: u32,
    /// The record that has it: its page and its place in it.
    record: (u32, u32),
}

/// What an earlier record of an item makes of a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The second that its version takes.
    pub second: CreationTime,
    /// The record of this page that has this second; `None` where it was in an earlier page.
    pub by: Option<usize>,
}

/// Items of earlier pages are kept for at least so many seconds: a page can be cut between two changes of one item. Of too
/// many, the newest are kept, and at last only those that time has not caught up with.
const KEPT_SECONDS: [u32; 3] = [120, 10, 0];
const KEPT_ITEMS: usize = 10_000;
/// Fewer are never looked through.
const FEW_ITEMS: usize = 256;

impl ItemOrder {
    /// Takes the next record of the page: its place in it, its item's key and its time. The answer says under which
    /// second it is written, where that is not its own.
    pub fn take(&mut self, record: usize, keys: &str, created: CreationTime) -> Option<Raised> {
        let second = created.seconds();
        self.steps_back += u64::from(second < self.newest);
        self.newest = self.newest.max(second);
        self.latest = second;
        let place = u32::try_from(record).unwrap_or(u32::MAX);
        let new = Item { key: self.hasher.hash_one(keys), second, record: (self.page, place) };
        let Some(known) = self.items.find_mut(new.key, |item| item.key == new.key) else {
            self.items.insert_unique(new.key, new, |item| item.key);
            return None;
        };
        if second >= known.second {
            *known = new;
            return None;
        }
        self.raised += 1;
        let (page, by) = known.record;
        let by = usize::try_from(by).ok().filter(|_| page == self.page);
        Some(Raised { second: CreationTime::from_seconds(known.second), by })
    }

    /// Takes all records of a page, before it is cut into parts that are delivered one after the other or again: each
    /// change is given the second that it is written under.
    pub fn arrange(&mut self, records: &mut [Result<Change<'_>, RecordError>]) {
        for (place, record) in records.iter_mut().enumerate() {
            let Ok(change) = record else { continue };
            let Some(created) = change.created else { continue };
            let raised = self.take(place, &change.canonical_keys(), created);
            change.not_before = raised.map(|raised| raised.second);
        }
        self.end_page();
    }

    /// The records of the page are done with: keeps what the next page has to know, which is bounded.
    pub fn end_page(&mut self) {
        self.newest = 0;
        self.page = self.page.wrapping_add(1);
        if self.items.len() >= self.crowded.max(FEW_ITEMS) {
            self.forget();
            self.items.shrink_to(0, |item| item.key);
            // Looking through all after each page would take more time than all that is done with the page.
            self.crowded = 2 * self.items.len();
        }
    }

    fn forget(&mut self) {
        let latest = self.latest;
        for kept in KEPT_SECONDS {
            self.items.retain(|item| item.second.saturating_add(kept) > latest);
            if self.items.len() <= KEPT_ITEMS {
                return;
            }
        }
        let mut room = KEPT_ITEMS;
        self.items.retain(|_| {
            room = room.saturating_sub(1);
            room > 0
        });
    }

    /// How many records were created before an earlier one of their page.
    pub fn steps_back(&self) -> u64 {
        self.steps_back
    }

    /// How many of them took the second of an earlier record of their item.
    pub fn raised(&self) -> u64 {
        self.raised
    }
}

#[cfg(test)]
mod tests;
