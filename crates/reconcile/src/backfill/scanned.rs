//! Serves the items of scan pages as reads. A delivery first gets the item from the page. If it asks again, because the
//! read is old or its request got no answer, the item is read by its key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::item::{ItemRead, ItemReader};
use streamdex_mapping::Key;

/// Items of the pages in hand that nobody has asked for yet.
pub(super) struct Scanned {
    by_key: Arc<dyn ItemReader>,
    held: Mutex<HashMap<Key, ItemRead>>,
}

// === impl Scanned ===

impl Scanned {
    pub(super) fn new(by_key: Arc<dyn ItemReader>) -> Scanned {
        Scanned { by_key, held: Mutex::default() }
    }

    /// Holds the items of a page.
    pub(super) fn hold(&self, items: impl IntoIterator<Item = (Key, ItemRead)>) {
        self.held().extend(items);
    }

    /// Lets go of what was not asked for.
    pub(super) fn release<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) {
        let mut held = self.held();
        keys.into_iter().for_each(|key| drop(held.remove(key)));
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, ItemRead>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ItemReader for Scanned {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        let mut reads: Vec<Option<ItemRead>> = {
            let mut held = self.held();
            keys.iter().map(|key| held.remove(key)).collect()
        };
        let asked: Vec<Key> =
            keys.iter().zip(&reads).filter(|(_, read)| read.is_none()).map(|(key, _)| key.clone()).collect();
        if !asked.is_empty() {
            let mut answers = self.by_key.read(&asked).await?.into_iter();
            reads.iter_mut().filter(|read| read.is_none()).for_each(|read| *read = answers.next());
        }
        Ok(reads.into_iter().flatten().collect())
    }
}
