//! Items, as the table and as the stream show them.

use serde_json::{Value, json};

/// The table's one key attribute.
pub(crate) const KEY: &str = "pk";
/// Tells routes apart.
pub(crate) const KIND: &str = "kind";
const SERIAL: &str = "serial";
pub(crate) const TEXT: &str = "text";
/// A text that OpenSearch refuses.
pub(crate) const POISON: &str = "poison";

/// What is stored under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// `a`, `b`, or `none`, which no route takes where there are two.
    pub(crate) kind: &'static str,
    /// Grows with each write to the table, so that no two states are alike.
    pub(crate) serial: u64,
    /// Filler.
    pub(crate) text: String,
}

impl Item {
    pub(crate) fn is_poison(&self) -> bool {
        self.text == POISON
    }

    /// As DynamoDB JSON.
    pub(crate) fn json(&self, key: &str) -> Value {
        json!({KEY: {"S": key}, KIND: {"S": self.kind}, SERIAL: {"N": self.serial.to_string()}, TEXT: {"S": self.text}})
    }
}
