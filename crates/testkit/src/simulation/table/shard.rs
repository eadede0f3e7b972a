//! One shard of a stream: its records, what is visible of it, and what is trimmed.

use aws_sdk_dynamodbstreams::types::Record;

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
    pub(crate) record: Record,
    /// A worker reported an outcome.
    pub(crate) acknowledged: bool,
    /// Trimmed before the group began to read, or older than its `latest` start: nobody has to read it.
    pub(crate) exempt: bool,
}

/// What GetRecords finds.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    /// The index of the next record; `None` at the end of a closed shard.
    pub(crate) next: Option<usize>,
}

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
        let page = visible.take_while(|(place, entry)| *place < most || most > 0 && entry.joined);
        let records: Vec<Record> = page.map(|(_, entry)| entry.record.clone()).collect();
        let next = from + records.len();
        let drained = self.closed.is_some_and(|closed| closed <= now) && next == self.records.len();
        Ok(Found { records, next: (!drained).then_some(next) })
    }

    /// Records that nobody has acknowledged and somebody has to.
    pub(crate) fn open_records(&self) -> impl Iterator<Item = &Entry> {
        self.records.iter().filter(|entry| entry.is_open())
    }
}
