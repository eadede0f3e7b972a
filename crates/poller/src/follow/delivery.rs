//! What the follower asks of delivery: the seam between reading a stream and writing to an index.

use std::collections::BTreeSet;

use async_trait::async_trait;
use streamdex_delivery::indices::IndexSetup;
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault};
use streamdex_mapping::{Change, Outcome, RecordError, Tally, Trust};
use streamdex_sink::index::{SetupError, VanishedIndex};
use streamdex_sink::writer;

/// Maps and writes the records of one page.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Brings the records, which came in this order from one shard, to an outcome each.
    ///
    /// Returns early, with records undecided, when `bounds` are left, or on a fault.
    async fn deliver(&self, records: &[Result<Change<'_>, RecordError>], trust: Trust, bounds: &Bounds) -> Delivered;

    /// Whether something that is known of, as a cluster that refuses everything, holds records back.
    fn is_held_back(&self) -> bool {
        false
    }
}

/// What became of the records of one page.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// One for each record, in order; `None` is undecided.
    pub outcomes: Vec<Option<Outcome>>,
    /// The logical indices that something was sent to: a checkpoint asks whether they are still there.
    pub indices: BTreeSet<String>,
    /// Why records are undecided.
    pub fault: Option<Undecided>,
}

/// Why records are undecided.
#[derive(Debug, Clone)]
pub enum Undecided {
    /// Cancelled.
    Stopped,
    /// An index is gone: a gap.
    IndexVanished(VanishedIndex),
    /// It may pass: the same records again, a little later.
    Later {
        /// What happened, without item data.
        message: String,
        /// What to do, in one sentence.
        hint: String,
    },
}

// === impl Delivered ===

impl Delivered {
    /// How many records at the front are decided.
    pub fn decided(&self) -> usize {
        self.outcomes.iter().position(Option::is_none).unwrap_or(self.outcomes.len())
    }

    /// How many records are undecided.
    pub fn undecided(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_none()).count()
    }

    /// The decided records, counted.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.outcomes.iter().flatten().for_each(|outcome| tally.add(*outcome));
        tally
    }
}

#[async_trait]
impl Deliver for Delivery {
    async fn deliver(&self, records: &[Result<Change<'_>, RecordError>], trust: Trust, bounds: &Bounds) -> Delivered {
        let mut page = Page::default();
        for record in records {
            let record = record.as_ref().map_err(RecordError::clone);
            if let Err(error) = page.add(&self.mapper, record, trust) {
                let fault = Undecided::Later { message: error.to_string(), hint: error.hint().to_owned() };
                return Delivered { outcomes: vec![None; records.len()], fault: Some(fault), ..Delivered::default() };
            }
        }
        let page = Box::pin(self.deliver_page(page, bounds)).await;
        let fault = page.fault.map(|fault| Undecided::of(&fault, &*self.indices));
        Delivered { outcomes: page.outcomes, indices: page.indices, fault }
    }

    fn is_held_back(&self) -> bool {
        self.progress.is_stuck() || !self.writer.pauses().is_empty()
    }
}

impl Undecided {
    fn of(fault: &DeliveryFault, indices: &dyn IndexSetup) -> Undecided {
        let later = || Undecided::Later { message: fault.to_string(), hint: fault.hint() };
        match fault {
            DeliveryFault::Cancelled(_) => Undecided::Stopped,
            DeliveryFault::Setup(SetupError::Vanished(vanished)) => Undecided::IndexVanished(vanished.clone()),
            DeliveryFault::Writer(writer) => match &**writer {
                writer::Fault::Cancelled => Undecided::Stopped,
                writer::Fault::IndexMissing { index, concrete } => {
                    let known = indices.known().into_iter().find(|known| known.index == index.as_str());
                    Undecided::IndexVanished(VanishedIndex {
                        index: index.as_str().to_owned(),
                        concrete: concrete.to_string(),
                        expected_uuid: known.map(|known| known.uuid).unwrap_or_default(),
                        found_uuid: None,
                    })
                }
                _ => later(),
            },
            _ => later(),
        }
    }
}
