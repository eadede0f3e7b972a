//! Dead letters: records that can never be written as they are, with address and reason.
//!
//! A letter keeps the address, the keys and the reason, never the image: a replay reads the item from the table.
//! The one exception is an archive copy, whose item is gone.

mod file;
mod table;

use std::fmt;
use std::io::{Read, Write};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use streamdex_dynamodb::state::{StateError, letter_sort_key};
use streamdex_mapping::Role;

pub use self::file::FileLetters;
pub use self::table::TableLetters;

/// One dead letter. In a file it is one JSON object a line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The format of this letter: 1.
    #[serde(rename = "v")]
    pub format: u64,
    /// Which record it is about, and which of its operations.
    #[serde(flatten)]
    pub key: LetterKey,
    /// The table.
    pub table: String,
    /// When it was written, in seconds since 1970.
    pub at: u64,
    /// When the record's change happened, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// The item's key as DynamoDB JSON, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// Live document or archive copy.
    pub role: LetterRole,
    /// Where the document would have been written; none where that is not known.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub address: Option<LetterAddress>,
    /// The external version of the refused write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// A word for the kind of refusal, as `mapper_parsing_exception` or `unknown_type`.
    pub reason: String,
    /// The refusal, without values of the item.
    pub error: String,
    /// An archive copy: gzip, then base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Set where an archive copy was too large to be kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub document_omitted: bool,
}

/// The identity of a letter: a repeated record produces the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LetterKey {
    /// The stream's label; `-` for records that came from elsewhere.
    pub stream: String,
    /// The sequence number, or the SHA-256 of the raw record where it has none.
    pub record: String,
    /// Which of the record's operations.
    pub ordinal: u32,
}

/// A document's address in a letter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterAddress {
    /// The logical index.
    pub index: String,
    /// The generation of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The document's id.
    pub id: String,
    /// Its routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<String>,
}

/// Which of a record's documents a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterRole {
    /// The document that mirrors the item.
    Live,
    /// The copy of an expired item.
    Archive,
}

/// Why letters cannot be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LetterError {
    /// The state table.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file.
    #[error("dead letter file {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// A letter in a newer format.
    #[error("dead letter {key} has format {found}, but this version knows only formats up to {FORMAT}")]
    NewerFormat {
        /// Its key.
        key: String,
        /// Its format.
        found: u64,
    },
    /// A letter that cannot be turned into an item.
    #[error("dead letter {0} cannot be stored")]
    Unstorable(LetterKey),
}

/// Some letters, and where the next ones begin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LetterPage {
    /// The letters, in the order of their keys.
    pub letters: Vec<DeadLetter>,
    /// Where to go on; `None` on the last page.
    pub next: Option<LetterKey>,
    /// Places that hold no readable letter: sort keys, or line numbers.
    pub malformed: Vec<String>,
}

/// Where dead letters are kept.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Stores letters; when this returns they survive a crash. A letter that is stored already is not duplicated.
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError>;
    /// One page of letters after `after`.
    async fn list(&self, after: Option<&LetterKey>) -> Result<LetterPage, LetterError>;
    /// Removes a letter that was read before, if it is unchanged since then; whether it was removed. A record that is
    /// refused again while its letter is worked on keeps it.
    async fn remove(&self, letter: &DeadLetter) -> Result<bool, LetterError>;
    /// One letter.
    async fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, LetterError>;
}

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u64 = 1;
/// An item of DynamoDB has at most 400 KB; the rest of a letter needs room too.
const LARGEST_DOCUMENT: usize = 350 * 1024;

// === impl DeadLetter ===

impl DeadLetter {
    /// Keeps `document`, compressed; says that it does not where it is too large.
    #[must_use]
    pub fn with_document(mut self, document: &[u8]) -> DeadLetter {
        self.document = compress(document).filter(|text| text.len() <= LARGEST_DOCUMENT);
        self.document_omitted = self.document.is_none();
        self
    }

    /// The document that [`DeadLetter::with_document`] kept.
    pub fn document(&self) -> Option<Vec<u8>> {
        let compressed = STANDARD.decode(self.document.as_ref()?).ok()?;
        let mut document = Vec::new();
        GzDecoder::new(compressed.as_slice()).read_to_end(&mut document).ok()?;
        Some(document)
    }

    fn checked(self) -> Result<DeadLetter, LetterError> {
        if self.format > FORMAT {
            return Err(LetterError::NewerFormat { key: self.key.to_string(), found: self.format });
        }
        Ok(self)
    }
}

/// Letters hold ids and keys, which are private: `Debug` shows key and reason.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter").field("key", &self.key).field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// Ids are private.
impl fmt::Debug for LetterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterAddress").field("index", &self.index).finish_non_exhaustive()
    }
}

fn compress(document: &[u8]) -> Option<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(document).ok()?;
    Some(STANDARD.encode(encoder.finish().ok()?))
}

// `skip_serializing_if` passes a reference.
fn is_false(value: &bool) -> bool {
    !*value
}

// === impl LetterKey ===

impl LetterKey {
    /// The label of a record that came from no stream.
    pub const NO_STREAM: &str = "-";

    /// From what [`LetterKey`] prints.
    pub fn parse(text: &str) -> Option<LetterKey> {
        let (rest, ordinal) = text.rsplit_once('|')?;
        let (stream, record) = rest.rsplit_once('|')?;
        let plain = |part: &str| !part.is_empty() && !part.contains(['|', '\\']);
        (plain(stream) && plain(record)).then_some(())?;
        Some(LetterKey { stream: stream.to_owned(), record: record.to_owned(), ordinal: ordinal.parse().ok()? })
    }
}

impl fmt::Display for LetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&letter_sort_key(&self.stream, &self.record, self.ordinal))
    }
}

// === impl LetterRole ===

impl From<Role> for LetterRole {
    fn from(role: Role) -> LetterRole {
        match role {
            Role::Live => LetterRole::Live,
            Role::Archive => LetterRole::Archive,
        }
    }
}

// === impl LetterError ===

impl LetterError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            LetterError::State(error) => error.hint(),
            LetterError::File { .. } => {
                "check that the folder exists and is writable, or name another dead_letter.path".to_owned()
            }
            LetterError::NewerFormat { .. } => "use the newer version of streamdex".to_owned(),
            LetterError::Unstorable(_) => "this is a bug in streamdex: please report it".to_owned(),
        }
    }
}

/// A letter for tests.
#[cfg(test)]
pub(crate) fn sample(record: &str, ordinal: u32) -> DeadLetter {
    DeadLetter {
        format: FORMAT,
        key: LetterKey { stream: "2026-11-22T15:01:21.123".into(), record: record.into(), ordinal },
        table: "sessions".into(),
        at: 1_795_359_681,
        created: Some(1_795_359_680),
        keys: Some(r#"{"pk":{"S":"a"}}"#.into()),
        role: LetterRole::Live,
        address: Some(LetterAddress { index: "sessions".into(), generation: Some(1), id: "a".into(), routing: None }),
        version: Some(1 << 62),
        reason: "mapper_parsing_exception".into(),
        error: "field [x] of type [long]".into(),
        document: None,
        document_omitted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_survives_json() {
        for letter in
            [sample("1", 0), DeadLetter { address: None, keys: None, version: None, created: None, ..sample("2", 1) }]
        {
            let text = serde_json::to_string(&letter).unwrap();
            assert_eq!(serde_json::from_str::<DeadLetter>(&text).unwrap(), letter, "{text}");
        }
    }

    #[test]
    fn documents_are_kept_up_to_a_size() {
        let letter = sample("1", 1).with_document(b"{\"a\":1}");
        assert_eq!(letter.document().as_deref(), Some(&b"{\"a\":1}"[..]));
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = (0..400_000).map(|_| random.u8(..)).collect();
        let letter = sample("1", 1).with_document(&noise);
        assert!(letter.document.is_none() && letter.document_omitted);
    }

    #[test]
    fn keys_are_read_back() {
        let key = sample("42", 3).key;
        assert_eq!(LetterKey::parse(&key.to_string()), Some(key));
        for bad in ["", "a", "a|b", "a|b|x", "|b|1", "a||1"] {
            assert_eq!(LetterKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn debug_output_is_private() {
        let text = format!("{:?}", sample("1", 0));
        assert!(!text.contains("\"a\"") && text.contains("mapper_parsing_exception"), "{text}");
    }
}
