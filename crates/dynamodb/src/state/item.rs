//! Items of the state table: format number and typed attributes. Pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::error::StateError;
use super::keys::FORMAT;

/// An item of the state table.
pub type Item = HashMap<String, AttributeValue>;

/// Refuses an item that a newer version wrote. An item without a readable number is malformed, not newer.
///
/// # Errors
/// [`StateError::NewerFormat`].
pub fn check_format(item: &Item, sort_key: &str) -> Result<(), StateError> {
    match number(item, "v") {
        Some(found) if found > FORMAT => {
            let kind = sort_key.split('|').next().unwrap_or_default().to_owned();
            Err(StateError::NewerFormat { kind, key: sort_key.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// An item as it is stored: its attributes with its key, and its format where they hold none.
pub fn stored(partition: &str, sort_key: String, mut attributes: Item) -> Item {
    attributes.insert("pk".to_owned(), AttributeValue::S(partition.to_owned()));
    attributes.insert("sk".to_owned(), AttributeValue::S(sort_key));
    attributes.entry("v".to_owned()).or_insert_with(|| of_number(FORMAT));
    attributes
}

/// A number as an attribute.
pub fn of_number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The text of an attribute; `None` where it is absent or of another type.
pub fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The number in an attribute; `None` where it is absent, of another type, or no whole number of 64 bits.
pub fn number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
