//! The reads that a change needs before it can be written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::change::canonical_keys;
use crate::event::read_item;
use crate::id::KeyError;
use crate::image::{Image, Scalar, short_name};
use crate::operation::Address;
use crate::version::ExternalVersion;

/// One item to read: with a strongly consistent read, and again where the answer is not final.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// The item's key.
    pub key: Key,
    /// The version under which what is read is written.
    pub version: FetchVersion,
    /// Every address that the item's changes named; it is deleted where it does not belong any more.
    pub addresses: Vec<Address>,
}

/// The version under which what was read is written (DESIGN: the law of reads, ADR 0003).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchVersion {
    /// [`ExternalVersion::of_read`]: the read is for no record, as in a backfill or a repair. A newer version in the index
    /// does not say then that the document is right: it may have been written since by a change that was read long ago.
    OfRead,
    /// The version of the newest record that the read is for.
    OfChange(ExternalVersion),
}

/// The key of an item.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Name and value of each key attribute, by ascending name.
    attributes: Vec<(String, KeyValue)>,
    /// The key as DynamoDB JSON; one key has one text.
    canonical: String,
}

/// The value of a key attribute.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum KeyValue {
    /// `S`
    String(String),
    /// `N`, verbatim.
    Number(String),
    /// `B`
    Binary(Vec<u8>),
}

impl FetchVersion {
    /// The version of what was read at `read_at`, the server's time in seconds since 1970.
    pub fn at(self, read_at: u64) -> ExternalVersion {
        match self {
            FetchVersion::OfRead => ExternalVersion::of_read(read_at),
            FetchVersion::OfChange(version) => version,
        }
    }
}

impl Fetch {
    pub(crate) fn new(keys: &Image<'_>, version: ExternalVersion, addresses: Vec<Address>) -> Result<Fetch, KeyError> {
        Ok(Fetch { key: Key::from_image(keys)?, version: FetchVersion::OfChange(version), addresses })
    }

    /// Adds addresses that are not known yet.
    pub(crate) fn add_addresses(&mut self, addresses: impl IntoIterator<Item = Address>) {
        for address in addresses {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }
}

impl Key {
    /// From the key attributes of a record.
    ///
    /// # Errors
    /// An attribute is no string, number or binary.
    pub fn from_image(keys: &Image<'_>) -> Result<Key, KeyError> {
        let mut attributes = Vec::with_capacity(2);
        for attribute in &keys.attributes {
            let name = attribute.name.decode();
            let value = attribute.scalar().and_then(|value| match value {
                Scalar::String(text) => Some(KeyValue::String(text.decode().into_owned())),
                Scalar::Number(digits) => Some(KeyValue::Number(digits.decode().into_owned())),
                Scalar::Binary(text) => text.bytes().map(KeyValue::Binary),
                Scalar::Bool(_) => None,
            });
            let value = value.ok_or_else(|| KeyError::NotAKey(short_name(&name)))?;
            attributes.push((name.into_owned(), value));
        }
        attributes.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(Key { attributes, canonical: canonical_keys(keys) })
    }

    /// The key that an item has, of these attributes; `None` where it lacks one, or holds there what can be no key.
    pub fn of_item(item: &Image<'_>, names: &[String]) -> Option<Key> {
        let keys = item.select(names);
        if keys.attributes.len() == names.len() { Key::from_image(&keys).ok() } else { None }
    }

    /// Name and value of each key attribute, by ascending name.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &KeyValue)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The key as DynamoDB JSON with ascending names.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(crate) fn image(&self) -> Image<'_> {
        read_item(&self.canonical).unwrap_or_default()
    }
}

/// Keys are private: `Debug` shows the names alone.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.attributes.iter().map(|(name, _)| name)).finish()
    }
}

/// Values of keys are private: `Debug` shows the type alone.
impl std::fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            KeyValue::String(_) => "S",
            KeyValue::Number(_) => "N",
            KeyValue::Binary(_) => "B",
        })
    }
}

impl KeyValue {
    /// The text that DynamoDB JSON has for it.
    pub fn text(&self) -> String {
        match self {
            KeyValue::String(text) | KeyValue::Number(text) => text.clone(),
            KeyValue::Binary(bytes) => STANDARD.encode(bytes),
        }
    }
}
