//! Items, as the table and as the stream show them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as TableValue;
use aws_sdk_dynamodbstreams::types::AttributeValue as StreamValue;
use streamdex_dynamodb::convert::{StreamItem, TableItem};

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

    pub(crate) fn stream_image(&self, key: &str) -> StreamItem {
        HashMap::from([
            (KEY.to_owned(), StreamValue::S(key.to_owned())),
            (KIND.to_owned(), StreamValue::S(self.kind.to_owned())),
            (SERIAL.to_owned(), StreamValue::N(self.serial.to_string())),
            (TEXT.to_owned(), StreamValue::S(self.text.clone())),
        ])
    }

    pub(crate) fn table_item(&self, key: &str) -> TableItem {
        HashMap::from([
            (KEY.to_owned(), TableValue::S(key.to_owned())),
            (KIND.to_owned(), TableValue::S(self.kind.to_owned())),
            (SERIAL.to_owned(), TableValue::N(self.serial.to_string())),
            (TEXT.to_owned(), TableValue::S(self.text.clone())),
        ])
    }
}
