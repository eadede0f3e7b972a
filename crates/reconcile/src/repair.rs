//! Repairs documents: reads their items, and writes them under the version of that read (DESIGN: the law of reads, ADR
//! 0003).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery};
use streamdex_mapping::{ExternalVersion, Fetch, FetchVersion, Key, Outcome, READ_MARGIN_SECONDS};
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::letters::KeyHash;
use crate::suspect::Suspect;

/// Writes documents of one table once more.
pub struct Repair {
    delivery: Delivery,
    refusals: Arc<Refusals>,
}

/// What was refused, in place of a store of dead letters: the records of these documents have theirs.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashSet<KeyHash>>);

/// Whether the version of a read is above that of a document (rule B3, docs/registers/guarantees.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repairable {
    /// It is.
    Now,
    /// It will be, when the margin has passed.
    Later,
    /// It never is: the version is of a time that has not come.
    Never,
}

/// Whether a document with this version can be written over by what is read from `at` on, the service's time in seconds
/// since 1970.
pub(crate) fn repairable(version: Option<u64>, at: u64) -> Repairable {
    let second = version.map(ExternalVersion::second_of).unwrap_or_default();
    if second > at {
        Repairable::Never
    } else if version.is_some() && at <= second + READ_MARGIN_SECONDS {
        Repairable::Later
    } else {
        Repairable::Now
    }
}

// === impl Repair ===

impl Repair {
    /// Writes through the delivery that `make` gives, which stores its dead letters in what it is given: a document that is
    /// refused again makes no further letter.
    pub fn through(make: impl FnOnce(Arc<dyn DeadLetterStore>) -> Delivery) -> Repair {
        let refusals = Arc::new(Refusals::default());
        Repair { delivery: make(refusals.clone()), refusals }
    }

    /// Reads the items of `suspects`, and writes and deletes what they give. A newer version is not an error: a later
    /// check of the documents shows whether they are right.
    pub(crate) async fn write(&self, suspects: &[Suspect], cancel: &CancellationToken) -> Result<(), Fault> {
        let mut page = Page::default();
        for suspect in suspects {
            let Some(key) = suspect.key.clone() else { continue };
            let addresses = suspect.address.iter().cloned().collect();
            page.add_read(Fetch { key, version: FetchVersion::OfRead, addresses }, None);
        }
        self.deliver(page, cancel).await.map(drop)
    }

    /// Reads and writes what a page asks for; the outcome of each of its records.
    pub(crate) async fn deliver(&self, page: Page, cancel: &CancellationToken) -> Result<Vec<Option<Outcome>>, Fault> {
        if page.is_empty() {
            return Ok(Vec::new());
        }
        self.refusals.keys().clear();
        let delivered = self.delivery.deliver_page(page, &Bounds::from(cancel.clone())).await;
        match delivered.fault {
            Some(fault) => Err(fault.into()),
            None => Ok(delivered.outcomes),
        }
    }

    /// Whether an item was refused when it was written last.
    pub(crate) fn has_refused(&self, key: &Key) -> bool {
        self.refusals.keys().contains(&KeyHash::of(key))
    }
}

impl Refusals {
    fn keys(&self) -> MutexGuard<'_, HashSet<KeyHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeadLetterStore for Refusals {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        let keys = letters.iter().filter_map(|letter| letter.keys.as_deref());
        self.keys().extend(keys.map(KeyHash::of_text));
        Ok(())
    }

    async fn remove(&self, _letter: &DeadLetter) -> Result<bool, LetterError> {
        Ok(false)
    }

    async fn list(&self, _after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        Ok(LetterPage::default())
    }

    async fn get(&self, _key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b3_a_document_is_written_over_when_its_second_and_the_margin_have_passed() {
        let now = 1_700_000_000;
        let at = |second: u64| Some((second << 31) | 5);
        for (version, expected) in [
            (None, Repairable::Now),
            (Some(1), Repairable::Now),
            (at(now - 91), Repairable::Now),
            (at(now - 90), Repairable::Later),
            (at(now), Repairable::Later),
            (at(now + 1), Repairable::Never),
            (Some(u64::MAX >> 1), Repairable::Never),
        ] {
            assert_eq!(repairable(version, now), expected, "{version:?}");
            // What is read now is accepted exactly where it is repairable now.
            let accepted = version.is_none_or(|version| ExternalVersion::of_read(now).get() >= version);
            assert_eq!(accepted, expected == Repairable::Now, "{version:?}");
        }
    }
}
