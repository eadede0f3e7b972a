//! The changes of one item keep the order of their records, although creation times now and then go back.
//!
//! Versions begin with the second of the creation time (ADR 0001). Of two changes of one item in one page, the later one
//! takes the larger second, and all its operations do: a move between two indices is never half done.

use std::collections::HashMap;

use crate::change::{Change, RecordError};
use crate::version::CreationTime;

/// The largest second of each item so far, over the records of a shard in their order.
#[derive(Debug, Clone, Default)]
pub struct ItemOrder {
    /// By the item's key: its largest second, and the record of this page that has it.
    items: HashMap<Box<str>, Largest>,
    /// The largest second of this page.
    newest: u32,
    /// The second of the record that came last.
    latest: u32,
    steps_back: u64,
    raised: u64,
}

#[derive(Debug, Clone, Copy)]
struct Largest {
    second: u32,
    record: Option<usize>,
}

/// What an earlier record of an item makes of a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The second that its version takes.
    pub second: CreationTime,
    /// The record of this page that has this second; `None` where it was in an earlier page.
    pub by: Option<usize>,
}

/// Items of earlier pages are kept for so long: a page can be cut between two changes of one item.
const KEPT_SECONDS: u32 = 120;
/// Of more items than this, only those are kept that time has not caught up with, and of these no more either.
const KEPT_ITEMS: usize = 20_000;

impl ItemOrder {
    /// Takes the next record of the page: its place in it, its item's key and its time. The answer says under which
    /// second it is written, where that is not its own.
    pub fn take(&mut self, record: usize, keys: &str, created: CreationTime) -> Option<Raised> {
        let second = created.seconds();
        self.steps_back += u64::from(second < self.newest);
        self.newest = self.newest.max(second);
        self.latest = second;
        let Some(largest) = self.items.get_mut(keys) else {
            self.items.insert(keys.into(), Largest { second, record: Some(record) });
            return None;
        };
        if second >= largest.second {
            *largest = Largest { second, record: Some(record) };
            return None;
        }
        self.raised += 1;
        Some(Raised { second: CreationTime::from_seconds(largest.second), by: largest.record })
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
        let latest = self.latest;
        self.newest = 0;
        self.items.retain(|_, largest| largest.second.saturating_add(KEPT_SECONDS) >= latest);
        if self.items.len() > KEPT_ITEMS {
            self.items.retain(|_, largest| largest.second > latest);
        }
        let mut room = KEPT_ITEMS;
        self.items.retain(|_, largest| {
            largest.record = None;
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
