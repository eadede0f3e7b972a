//! The items themselves.

use std::collections::{BTreeMap, BTreeSet};

use streamdex_dynamodb::state::{FORMAT, Item, SortKey, number};
use streamdex_poller::state::{Loaded, StoredLease, read_items, read_lease};
use streamdex_poller::{Gap, GapKind};

/// The items of one group about one table.
#[derive(Debug, Default)]
pub(crate) struct StateItems {
    pub(crate) items: BTreeMap<String, Item>,
    /// Every shard that was ever done.
    pub(super) ended: BTreeSet<String>,
}

// === impl StateItems ===

impl StateItems {
    /// Items whose time is over go.
    pub(super) fn expire(&mut self, now: u64) {
        self.items.retain(|_, item| number(item, "expires").is_none_or(|expires| now <= expires));
    }

    /// What is stored about one stream.
    pub(crate) fn load(&self, label: &str) -> Loaded {
        let known = self.items.values().filter(|item| number(item, "v").is_none_or(|format| format <= FORMAT));
        let items: Vec<Item> = known.cloned().collect();
        read_items(&items, label).expect("no item is of a newer format")
    }

    pub(crate) fn gaps(&self) -> impl Iterator<Item = Gap> {
        let gap = |key: &String| match SortKey::parse(key) {
            SortKey::Gap { kind, subject, .. } => Some(Gap::new(GapKind::parse(&kind)?, subject)),
            _ => None,
        };
        self.items.keys().filter_map(gap)
    }

    pub(crate) fn lease(&self) -> Option<StoredLease> {
        read_lease(self.items.get("lease")?)
    }

    pub(crate) fn is_done(&self, shard: &str) -> bool {
        self.ended.contains(shard)
    }

    /// Whether an acknowledged record can have been written to this index.
    pub(crate) fn names_index(&self, concrete: &str) -> bool {
        self.items.contains_key(&SortKey::Index { concrete: concrete.to_owned() }.text())
    }

    /// How many streams the group has begun to follow, in their order.
    pub(crate) fn begun(&self) -> usize {
        self.items.keys().filter(|key| matches!(SortKey::parse(key), SortKey::Stream { .. })).count()
    }
}
