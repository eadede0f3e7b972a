//! Items that changed on both sides of a split within one second.
//!
//! Sequence numbers of the parts of a split begin again, and creation times have no more than the second: a change behind
//! the split can have a smaller version than one before it. What holds then: every record has its outcome; the index
//! holds some state that the item had in that second; and the next change in a later second makes it right where it is
//! written, though a document in another index can stay.

use std::collections::BTreeMap;

use super::item::Item;

/// What is known of such items.
#[derive(Debug, Default)]
pub(crate) struct Torn {
    /// The states of each item in the second of its last change, the one before that included.
    seconds: BTreeMap<String, Second>,
    /// The states in seconds that were torn.
    states: BTreeMap<String, Vec<Option<Item>>>,
}

#[derive(Debug, Default)]
struct Second {
    at: u64,
    states: Vec<Option<Item>>,
    is_torn: bool,
}

// === impl Torn ===

impl Torn {
    /// An item changes in this second; `begins`: behind a split of the same second.
    pub(super) fn note(&mut self, key: &str, at: u64, (old, new): (Option<&Item>, Option<&Item>), begins: bool) {
        let second = self.seconds.entry(key.to_owned()).or_default();
        if second.at != at {
            *second = Second { at, states: vec![old.cloned()], is_torn: false };
        }
        second.states.push(new.cloned());
        second.is_torn |= begins && second.states.len() > 2;
        if second.is_torn {
            self.states.entry(key.to_owned()).or_default().extend(second.states.iter().cloned());
        }
    }

    /// Whether the last change of the item was in such a second.
    pub(crate) fn is_last(&self, key: &str) -> bool {
        self.seconds.get(key).is_some_and(|second| second.is_torn)
    }

    /// The states that the index may hold of the item.
    pub(crate) fn states(&self, key: &str) -> impl Iterator<Item = &Item> {
        self.states.get(key).into_iter().flatten().flatten()
    }
}
