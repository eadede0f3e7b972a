//! Items of the state table that somebody changes, removes, or writes with a newer version.

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_dynamodb::state::{FORMAT, Item, SortKey, of_number, text};

use super::state::items::StateItems;

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tamper {
    /// That of an open shard cannot be read.
    Malformed,
    /// That of an open shard has a format that nobody knows yet.
    Newer,
    /// That of an open shard without children is gone.
    MissingShard,
    /// The lease is gone.
    MissingLease,
}

/// How the state of an open shard is spelled, and how nobody spells it.
const OPEN: &str = "open";
const MALFORMED: &str = "half";

impl Tamper {
    /// Its name among the kinds of weather.
    pub(super) fn name(self) -> &'static str {
        match self {
            Tamper::Malformed => "state: malformed item",
            Tamper::Newer => "state: newer item",
            Tamper::MissingShard => "state: missing shard",
            Tamper::MissingLease => "state: missing lease",
        }
    }

    /// Does it to one of the items; `false` where there is none.
    pub(super) fn apply(self, state: &mut StateItems, which: usize) -> bool {
        if self == Tamper::MissingLease {
            return state.items.remove("lease").is_some();
        }
        let open: Vec<String> =
            state.items.iter().filter(|(key, item)| is_open(key, item)).map(|(key, _)| key.clone()).collect();
        let without_children: Vec<String> = open.iter().filter(|key| !has_children(state, key)).cloned().collect();
        let Some(key) = without_children.get(which % without_children.len().max(1)) else { return false };
        let Some(item) = state.items.get_mut(key) else { return false };
        match self {
            Tamper::Malformed => drop(item.insert("state".to_owned(), AttributeValue::S(MALFORMED.to_owned()))),
            Tamper::Newer => drop(item.insert("v".to_owned(), of_number(FORMAT + 1))),
            Tamper::MissingShard | Tamper::MissingLease => drop(state.items.remove(key)),
        }
        true
    }
}

fn is_open(key: &str, item: &Item) -> bool {
    matches!(SortKey::parse(key), SortKey::Shard { .. }) && text(item, "state") == Some(OPEN)
}

fn has_children(state: &StateItems, key: &str) -> bool {
    let SortKey::Shard { shard, .. } = SortKey::parse(key) else { return false };
    state.items.values().any(|item| text(item, "parent") == Some(shard.as_str()))
}

/// An operator sees to it that every item can be read again. Those that a reader has drained meanwhile are right already.
pub(super) fn restore(state: &mut StateItems) {
    for (key, item) in &mut state.items {
        if text(item, "state") == Some(MALFORMED) {
            item.insert("state".to_owned(), AttributeValue::S(OPEN.to_owned()));
        }
        if matches!(SortKey::parse(key), SortKey::Shard { .. }) {
            item.insert("v".to_owned(), of_number(FORMAT));
        }
    }
}
