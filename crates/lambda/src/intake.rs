//! Chooses the records of an event that are mapped, and the time for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use streamdex_delivery::screen::{Screen, Screened, Seen};
use streamdex_mapping::SequenceNumber;

use crate::decided::{Decided, item_hash};

/// Decides about the records of one event.
///
/// Mapping costs processor time, of which a small sandbox has little. What is not mapped in time is postponed, so that
/// the rest is delivered and the invocation answers; at least one record is mapped.
#[derive(Debug)]
pub struct Intake {
    /// From then on records are postponed.
    until: Instant,
    decided: Arc<Decided>,
    start: Arc<Start>,
    /// Items with a change that is mapped, or that there was no time for: their later changes go with it.
    items: Mutex<HashSet<u64>>,
    images: Budget,
    reads: Budget,
}

/// Where an event begins, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// The first record's number; `None` where it has none that can be named.
    first: OnceLock<Option<SequenceNumber>>,
    /// The event does not come in order.
    by_hand: AtomicBool,
}

/// How many records were mapped and postponed.
#[derive(Debug, Default)]
struct Budget {
    mapped: AtomicUsize,
    postponed: AtomicUsize,
}

/// Records whose images are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Images<'i>(&'i Intake);

/// Records whose items are read: a decision about an image does not apply to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads<'i>(&'i Intake);

// === impl Intake ===

impl Intake {
    /// Records are mapped until then.
    pub fn until(until: Instant, decided: Arc<Decided>) -> Intake {
        Intake {
            until,
            decided,
            start: Arc::default(),
            items: Mutex::default(),
            images: Budget::default(),
            reads: Budget::default(),
        }
    }

    /// Says more with the first record.
    pub(crate) fn start(&self) -> Arc<Start> {
        Arc::clone(&self.start)
    }

    pub(crate) fn images(&self) -> Images<'_> {
        Images(self)
    }

    pub(crate) fn reads(&self) -> Reads<'_> {
        self.start.by_hand.store(true, Ordering::Relaxed);
        Reads(self)
    }

    fn spend(&self, budget: &Budget) -> Screened {
        if budget.mapped.load(Ordering::Relaxed) > 0 && Instant::now() >= self.until {
            budget.postponed.fetch_add(1, Ordering::Relaxed);
            return Screened::Postpone;
        }
        budget.mapped.fetch_add(1, Ordering::Relaxed);
        Screened::Map
    }
}

// === impl Start, Images, Reads ===

impl Start {
    /// The record from which on all can be asked for again.
    pub(crate) fn first(&self) -> Option<SequenceNumber> {
        self.first.get().cloned().flatten().filter(|_| !self.by_hand.load(Ordering::Relaxed))
    }
}

impl Images<'_> {
    /// How many records were postponed.
    pub(crate) fn postponed(self) -> usize {
        self.0.images.postponed.load(Ordering::Relaxed)
    }
}

impl Screen for Images<'_> {
    fn screen(&self, record: &Seen<'_>) -> Screened {
        self.0.start.first.get_or_init(|| record.sequence().filter(|_| record.stream_arn().is_some()).cloned());
        if self.0.decided.is_empty() {
            return self.0.spend(&self.0.images);
        }
        let item = item_hash(&record.keys());
        let mut items = self.0.items.lock().unwrap_or_else(PoisonError::into_inner);
        match self.0.decided.outcome(record).filter(|_| !items.contains(&item)) {
            Some(outcome) => Screened::Decided(outcome),
            None => {
                items.insert(item);
                self.0.spend(&self.0.images)
            }
        }
    }
}

impl Reads<'_> {
    /// How many records were postponed.
    pub(crate) fn postponed(self) -> usize {
        self.0.reads.postponed.load(Ordering::Relaxed)
    }
}

impl Screen for Reads<'_> {
    fn screen(&self, _: &Seen<'_>) -> Screened {
        self.0.spend(&self.0.reads)
    }
}
