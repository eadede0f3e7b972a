//! The interface between the follower, which reads a stream, and the delivery, which writes to an index.

use std::collections::BTreeSet;

use async_trait::async_trait;
use streamdex_delivery::indices::IndexSetup;
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault};
use streamdex_mapping::{Change, Outcome, RecordError, Tally, Trust};
use streamdex_sink::Scope;
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

    /// What is held back, for people.
    fn pauses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether an index is held back while others are not: records of those need not wait for it.
    fn holds_back_an_index(&self) -> bool {
        false
    }

    /// How many requests were sent and never answered. They may still be carried out.
    fn unanswered(&self) -> u64 {
        0
    }

    /// How many requests are under way.
    fn in_flight(&self) -> u64 {
        0
    }

    /// Requests of an earlier reader may still be carried out: deletes of the next minute are sent once more after it.
    fn doubt_earlier_requests(&self) {}
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
    /// An index shows that the group's state is lost: a gap.
    StateLost {
        /// What the index says.
        message: String,
    },
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
        // A page holds 1 MB at most, which is mapped in a few milliseconds. A task that yields in between moves from thread
        // to thread with its page: reading was at little more than half of its rate then.
        for record in records {
            let record = record.as_ref().map_err(RecordError::clone);
            page.add(&self.mapper, record, trust);
        }
        if let Err(error) = page.check_keys(&self.progress.keys) {
            let fault = Undecided::Later { message: error.to_string(), hint: error.hint().to_owned() };
            return Delivered { outcomes: vec![None; records.len()], fault: Some(fault), ..Delivered::default() };
        }
        let page = Box::pin(self.deliver_page(page, bounds)).await;
        let fault = match page.fault {
            Some(fault) => Some(Undecided::of(&fault, &*self.indices).await),
            None => None,
        };
        Delivered { outcomes: page.outcomes, indices: page.indices, fault }
    }

    fn is_held_back(&self) -> bool {
        self.progress.is_stuck() || !self.writer.pauses().is_empty()
    }

    fn pauses(&self) -> Vec<String> {
        self.writer.pauses().iter().map(ToString::to_string).collect()
    }

    fn holds_back_an_index(&self) -> bool {
        let pauses = self.writer.pauses();
        let whole = pauses.iter().any(|pause| matches!(pause.scope, Scope::Cluster | Scope::Credentials));
        // Where an index cannot be made, its documents may come after their deletes: no later page is taken up then.
        !whole && !pauses.is_empty() && !self.progress.is_stuck()
    }

    fn unanswered(&self) -> u64 {
        self.writer.stats().unanswered
    }

    fn in_flight(&self) -> u64 {
        self.writer.stats().in_flight
    }

    fn doubt_earlier_requests(&self) {
        self.writer.doubt_earlier_requests();
    }
}

impl Undecided {
    async fn of(fault: &DeliveryFault, indices: &dyn IndexSetup) -> Undecided {
        let later = || Undecided::Later { message: fault.to_string(), hint: fault.hint() };
        match fault {
            DeliveryFault::Cancelled(_) => Undecided::Stopped,
            DeliveryFault::Setup(SetupError::Vanished(vanished)) => Undecided::IndexVanished(vanished.clone()),
            DeliveryFault::Setup(error @ SetupError::StateLost { .. }) => {
                Undecided::StateLost { message: error.to_string() }
            }
            DeliveryFault::Writer(writer) => match &**writer {
                writer::Fault::Cancelled => Undecided::Stopped,
                writer::Fault::IndexMissing { index, concrete } => {
                    missing(index.as_str(), concrete, indices).await.map_or_else(later, Undecided::IndexVanished)
                }
                _ => later(),
            },
            _ => later(),
        }
    }
}

/// An index that one answer to a write said to be missing: it has vanished where a look at it says so too. Of an index
/// that is not watched, that answer is all there is.
async fn missing(index: &str, concrete: &str, indices: &dyn IndexSetup) -> Option<VanishedIndex> {
    if !indices.known().iter().any(|known| known.index == index) {
        return Some(VanishedIndex {
            index: index.to_owned(),
            concrete: concrete.to_owned(),
            expected_uuid: String::new(),
            found_uuid: None,
        });
    }
    let vanished = indices.watch().await.ok()?;
    vanished.into_iter().find(|vanished| vanished.index == index)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use streamdex_config::TableArn;
    use streamdex_delivery::indices::IndexWatch;
    use streamdex_mapping::IndexName;
    use streamdex_sink::index::{GroupState, KnownIndex, Target};

    use super::*;

    /// One known index, and what a look at it says.
    struct Looked(Result<Vec<VanishedIndex>, SetupError>);

    #[async_trait]
    impl IndexWatch for Looked {
        fn restore(&self, _: &TableArn, _: Vec<KnownIndex>, _: GroupState) {}

        fn known(&self) -> Vec<KnownIndex> {
            let (index, concrete, uuid) = ("x".into(), "x-000001".into(), "A".into());
            vec![KnownIndex { index, concrete, uuid, generation: 1 }]
        }

        async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
            self.0.clone()
        }
    }

    #[async_trait]
    impl IndexSetup for Looked {
        async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError> {
            Err(SetupError::Unknown { index: index.to_string() })
        }

        async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
            self.ensure(index).await.map(Some)
        }

        fn target(&self, _: &IndexName) -> Option<Arc<Target>> {
            None
        }
    }

    #[tokio::test]
    async fn one_answer_to_a_write_is_no_vanished_index() {
        let gone = VanishedIndex {
            index: "x".into(),
            concrete: "x-000001".into(),
            expected_uuid: "A".into(),
            found_uuid: None,
        };
        let of = async |watched, index| missing(index, "x-000001", &Looked(watched)).await;
        assert_eq!(of(Ok(Vec::new()), "x").await, None);
        let unanswered = SetupError::Unexpected { action: "look".into(), status: 200, what: "empty" };
        assert_eq!(of(Err(unanswered), "x").await, None);
        assert_eq!(of(Ok(vec![gone.clone()]), "x").await, Some(gone));
        // Of an index that is not watched, the answer is all there is.
        assert!(of(Ok(Vec::new()), "unwatched").await.is_some());
    }
}
