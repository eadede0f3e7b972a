//! The expected state of a document, from the table. Pure.

use bytes::Bytes;
use streamdex_dynamodb::item::Found;
use streamdex_mapping::{Address, Image, Mapper};

/// What an item gives.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This document, here.
    Document {
        address: Address,
        text: Bytes,
        /// When the item expires, in seconds since 1970.
        expires: Option<u64>,
    },
    /// No document: no route takes it.
    Filtered,
    /// It cannot be mapped, so its change is a dead letter.
    Refused { reason: &'static str },
    /// There is no item.
    NoItem,
}

impl Expected {
    /// What the item with this text gives; `names` are the table's key attributes.
    pub(crate) fn of(mapper: &Mapper, names: &[String], item: &str) -> Expected {
        let image = Image::of_item(item);
        match mapper.document_of(&image, names) {
            Ok(Some((address, text))) => Expected::Document { address, text, expires: mapper.time_to_live(&image) },
            Ok(None) => Expected::Filtered,
            Err(error) => Expected::Refused { reason: error.name() },
        }
    }

    /// What was found under a key gives.
    pub(crate) fn of_found(mapper: &Mapper, names: &[String], found: &Found) -> Expected {
        match found {
            Found::Item(item) => Expected::of(mapper, names, item),
            Found::Absent => Expected::NoItem,
            Found::Refused(_) => Expected::Refused { reason: "item_not_readable" },
        }
    }

    /// Where its document belongs.
    pub(crate) fn address(&self) -> Option<&Address> {
        match self {
            Expected::Document { address, .. } => Some(address),
            Expected::Filtered | Expected::Refused { .. } | Expected::NoItem => None,
        }
    }
}

/// Documents are private.
impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Document { text, .. } => write!(f, "Document({} bytes)", text.len()),
            Expected::Filtered => f.write_str("Filtered"),
            Expected::Refused { reason } => write!(f, "Refused({reason})"),
            Expected::NoItem => f.write_str("NoItem"),
        }
    }
}
