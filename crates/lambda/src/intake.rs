//! The records of an event on their way to the mapper: which are mapped, within which time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use streamdex_delivery::screen::{Screen, Screened, Seen};
use streamdex_mapping::SequenceNumber;

use crate::decided::Decided;

/// Decides about the records of one event.
///
/// Mapping costs processor time, of which a small sandbox has little. What is not mapped in time is postponed, so that
/// the rest is delivered and the invocation answers; at least one record is mapped.
#[derive(Debug)]
pub struct Intake {
    /// From then on records are postponed.
    until: Instant,
    decided: Arc<Decided>,
    /// The first record of an event that comes in order, once it was read: all can be asked for again from there on.
    first: Arc<OnceLock<SequenceNumber>>,
    images: Budget,
    reads: Budget,
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

/// Records whose items are read: what was decided of an image says nothing of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads<'i>(&'i Intake);

// === impl Intake ===

impl Intake {
    /// Records are mapped until then.
    pub fn until(until: Instant, decided: Arc<Decided>) -> Intake {
        Intake { until, decided, first: Arc::default(), images: Budget::default(), reads: Budget::default() }
    }

    /// Is set with the first record.
    pub(crate) fn first(&self) -> Arc<OnceLock<SequenceNumber>> {
        Arc::clone(&self.first)
    }

    pub(crate) fn images(&self) -> Images<'_> {
        Images(self)
    }

    pub(crate) fn reads(&self) -> Reads<'_> {
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

impl Images<'_> {
    /// How many records were postponed.
    pub(crate) fn postponed(self) -> usize {
        self.0.images.postponed.load(Ordering::Relaxed)
    }
}

impl Screen for Images<'_> {
    fn screen(&self, record: &Seen<'_>) -> Screened {
        if let (Some(sequence), Some(_)) = (record.sequence(), record.stream_arn()) {
            self.0.first.get_or_init(|| sequence.clone());
        }
        match self.0.decided.outcome(record) {
            Some(outcome) => Screened::Decided(outcome),
            None => self.0.spend(&self.0.images),
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
