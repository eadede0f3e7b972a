//! One shard of a stream: its records, what is visible of it, and what is trimmed.

use std::sync::Arc;

use super::super::dice::Dice;
use super::super::time::Window;

/// A shard, open or closed.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) records: Vec<Entry>,
    pub(crate) closed: Option<u64>,
    /// When it begins to show in listings.
    pub(crate) listed_from: u64,
    /// When listings begin to show that it is closed.
    pub(crate) shown_closed_from: u64,
    /// The first records that are gone.
    pub(crate) trimmed: usize,
    /// How much longer than the retention its records are kept.
    pub(crate) grace: u64,
    /// Until then it is listed, and now and then not found.
    pub(crate) settles: u64,
    /// Gone as a whole.
    pub(crate) removed: bool,
    pub(crate) opened: u64,
    /// The group began with it, or it was about to be trimmed then: what is left of it when it is first acknowledged will do.
    pub(crate) may_lose_more: bool,
    /// When it was read, by anybody.
    pub(crate) reads: Window,
    pub(crate) hidden: Hidden,
}

/// Records that are there, and that pages do not show.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    /// So many more pages are empty.
    pages: u64,
    /// Up to which record that has happened.
    up_to: usize,
    /// The last page was empty, and need not have been.
    hides: bool,
    /// When a page last hid something that a reader may have taken for the end.
    pub(crate) deceived: Option<u64>,
}

/// A record in a shard.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) sequence: String,
    /// The sequence number as a number.
    pub(crate) order: u128,
    /// In milliseconds of virtual time.
    pub(crate) created: u64,
    /// In seconds since 1970, as the record says.
    pub(crate) created_seconds: u64,
    pub(crate) visible_from: u64,
    /// It comes in the same page as the record before it.
    pub(crate) joined: bool,
    pub(crate) key: String,
    pub(crate) record: Arc<str>,
    /// As the record says.
    pub(crate) bytes: u64,
    /// OpenSearch refuses its document for ever.
    pub(crate) is_poison: bool,
    /// A worker reported an outcome.
    pub(crate) acknowledged: bool,
    /// Trimmed before the group began to read, or older than its `latest` start: nobody has to read it.
    pub(crate) exempt: bool,
}

/// What GetRecords finds.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) records: Vec<Arc<str>>,
    /// The index of the next record; `None` at the end of a closed shard.
    pub(crate) next: Option<usize>,
}

/// A page ends at 1 MB.
const LARGEST_PAGE: u64 = 1_000_000;
/// A page of so many records or bytes is taken for a full one.
const FULL_PAGE: (usize, u64) = (500, 400_000);
/// The position lies before the oldest record.
#[derive(Debug)]
pub(crate) struct BeforeHorizon;

impl Entry {
    /// Somebody has to read it, and nobody has acknowledged it.
    pub(crate) fn is_open(&self) -> bool {
        !self.acknowledged && !self.exempt
    }
}

impl Shard {
    /// Forgets what is older than `oldest`, and with the last record a closed shard as a whole.
    pub(crate) fn trim(&mut self, oldest: u64) {
        let oldest = oldest.saturating_sub(self.grace);
        let old = self.records.iter().take_while(|entry| entry.created < oldest).count();
        self.trimmed = self.trimmed.max(old);
        if self.may_lose_more && !self.records.iter().any(|entry| entry.acknowledged) {
            self.records.iter_mut().take(self.trimmed).for_each(|entry| entry.exempt = true);
        }
        if self.closed.is_some_and(|closed| closed < oldest) {
            self.removed = true;
        }
    }

    /// The index of the record after `order`.
    pub(crate) fn after(&self, order: u128) -> Result<usize, BeforeHorizon> {
        let index = self.records.partition_point(|entry| entry.order <= order);
        if index < self.trimmed { Err(BeforeHorizon) } else { Ok(index) }
    }

    pub(crate) fn page(&self, from: usize, most: usize, now: u64) -> Result<Found, BeforeHorizon> {
        if from < self.trimmed {
            return Err(BeforeHorizon);
        }
        let visible = self.records.iter().skip(from).take_while(|entry| entry.visible_from <= now).enumerate();
        let mut bytes = 0;
        let page = visible.take_while(|(place, entry)| {
            bytes += entry.bytes;
            let fits = *place < most && (*place == 0 || bytes <= LARGEST_PAGE);
            fits || most > 0 && entry.joined
        });
        let records: Vec<Arc<str>> = page.map(|(_, entry)| Arc::clone(&entry.record)).collect();
        let next = from + records.len();
        let drained = self.closed.is_some_and(|closed| closed <= now) && next == self.records.len();
        Ok(Found { records, next: (!drained).then_some(next) })
    }

    /// Whether this page is empty, though it need not be: one of a run, of which some begin in so many thousandths of all
    /// pages.
    pub(crate) fn is_in_a_run(&mut self, from: usize, often: u32, dice: &mut Dice) -> bool {
        if self.hidden.pages > 0 {
            self.hidden.pages -= 1;
            return true;
        }
        let begins = from >= self.hidden.up_to && from < self.records.len() && dice.rarely(often);
        if begins {
            (self.hidden.pages, self.hidden.up_to) = (dice.within(1..=14), from + 1);
        }
        begins
    }

    /// A page from this record on is answered, and holds so many; with `most`, so many could have been.
    pub(crate) fn answered(&mut self, from: usize, (records, most): (usize, usize), now: u64) {
        let page = self.records.iter().skip(from).take(records);
        let is_full = records >= FULL_PAGE.0 || page.map(|entry| entry.bytes).sum::<u64>() >= FULL_PAGE.1;
        let hides = match self.records.get(from + records) {
            Some(entry) => entry.visible_from <= now,
            // Its end.
            None => records == 0 && most == 0 && self.closed.is_some_and(|closed| closed <= now),
        };
        if hides && !is_full {
            // What is not full is taken for all there is.
            self.hidden.deceived = Some(now);
        }
        self.hidden.hides = hides && records == 0;
    }

    /// Whether the last page hid what is there.
    pub(crate) fn hides(&self) -> bool {
        self.hidden.hides
    }

    /// Records that nobody has acknowledged and somebody has to.
    pub(crate) fn open_records(&self) -> impl Iterator<Item = &Entry> {
        self.records.iter().filter(|entry| entry.is_open())
    }
}
