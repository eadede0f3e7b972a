//! Conditional writes, as conditions and changes. Pure.
//!
//! A write is a value: the conditions that are sent to DynamoDB are the ones that [`apply`] carries out on a map, for
//! tests and for the simulation.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, stored};

/// One conditional write to one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The item.
    pub sort_key: String,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// What is done then.
    pub action: Action,
}

/// A condition on the stored item, or on its absence.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// There is an item.
    Exists,
    /// There is none.
    Missing,
    /// The attribute has this value.
    Is(&'static str, AttributeValue),
    /// The attribute is absent.
    Lacks(&'static str),
    /// The attribute is absent, or smaller than this number or text.
    Below(&'static str, AttributeValue),
}

/// What a write does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Nothing: only the conditions count. In a transaction alone.
    Check,
    /// The item is these attributes, whatever it was.
    Put(Item),
    /// These attributes are set, and those removed; others stay, those of later versions too.
    Update {
        /// Set.
        set: Item,
        /// Removed.
        remove: Vec<&'static str>,
    },
    /// The item goes.
    Delete,
}

/// The result of writes that are carried out together.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// All of them are stored.
    Stored,
    /// None of them is. These conditions do not hold.
    Refused(Vec<Refusal>),
}

/// An operation whose conditions do not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Which one.
    pub operation: usize,
    /// The item that is there.
    pub found: Option<Item>,
}

/// Carries writes out on a map of items by sort key, as DynamoDB does: all of them, or none.
pub fn apply(items: &mut BTreeMap<String, Item>, partition: &str, operations: &[Operation]) -> Answer {
    let refused: Vec<Refusal> = operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| !operation.holds(items.get(&operation.sort_key)))
        .map(|(place, operation)| Refusal { operation: place, found: items.get(&operation.sort_key).cloned() })
        .collect();
    if !refused.is_empty() {
        return Answer::Refused(refused);
    }
    for operation in operations {
        let key = operation.sort_key.clone();
        match &operation.action {
            Action::Check => {}
            Action::Put(item) => drop(items.insert(key.clone(), stored(partition, key, item.clone()))),
            Action::Update { set, remove } => {
                let item = items.entry(key.clone()).or_default();
                remove.iter().for_each(|name| drop(item.remove(*name)));
                item.extend(stored(partition, key, set.clone()));
            }
            Action::Delete => drop(items.remove(&key)),
        }
    }
    Answer::Stored
}

// === impl Answer ===

impl Answer {
    /// Whether the one write was carried out, now or by an earlier attempt whose answer was lost: then the item is the caller's.
    pub fn is_stored(&self, is_own: impl FnOnce(&Item) -> bool) -> bool {
        match self {
            Answer::Stored => true,
            Answer::Refused(refused) => refused.first().and_then(|refusal| refusal.found.as_ref()).is_some_and(is_own),
        }
    }
}

// === impl Operation ===

impl Operation {
    /// Whether the conditions hold of this item, or of none.
    pub fn holds(&self, item: Option<&Item>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(item))
    }
}

// === impl Condition ===

impl Condition {
    fn holds(&self, item: Option<&Item>) -> bool {
        let attribute = |name: &str| item.and_then(|item| item.get(name));
        match self {
            Condition::Exists => item.is_some(),
            Condition::Missing => item.is_none(),
            Condition::Is(name, value) => attribute(name) == Some(value),
            Condition::Lacks(name) => attribute(name).is_none(),
            Condition::Below(name, value) => {
                attribute(name).is_none_or(|found| compare(found, value) == Some(Ordering::Less))
            }
        }
    }
}

/// As DynamoDB compares: numbers by value, texts by their bytes, and nothing else here.
fn compare(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        (AttributeValue::N(left), AttributeValue::N(right)) => {
            Some(left.parse::<u64>().ok()?.cmp(&right.parse::<u64>().ok()?))
        }
        _ => None,
    }
}
