//! What is sent to the index: one write or one delete of one document.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::version::ExternalVersion;

/// The name of an index as the mapper knows it (`sessions`, or what `orders-{region}` gives).
///
/// Always a name that OpenSearch accepts: lower case, at most 240 bytes (so that `-000001` fits into
/// the 255 that OpenSearch allows), none of `\ / * ? " < > | space , # :`, not starting with `_`, `-`,
/// `+`, not `.` or `..`, and not ending in the reserved `-live` or `-NNNNNN`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName(Arc<str>);

/// The longest document id that OpenSearch takes, in bytes (its `IndexRequest`).
pub const LONGEST_ID: usize = 512;

/// A document's `_id`: 1 to [`LONGEST_ID`] bytes of UTF-8. Made by [`crate::id`] alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(Arc<str>);

/// Where a document lives. Two images of one item can have different addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The logical index; the sink resolves it to `NAME-NNNNNN`.
    pub index: IndexName,
    /// The document's id.
    pub id: DocumentId,
    /// The routing value, where the route names a routing attribute.
    pub routing: Option<Arc<str>>,
}

/// What is done at the address.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Write this document: one JSON object, UTF-8, without a line break.
    Index(Bytes),
    /// Delete the document.
    Delete,
}

/// Where the content of an operation comes from; it decides who may send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the images of a record that came in order from its shard (or an archive write): the sink
    /// sends it again until it is decided.
    Image,
    /// From an item that was read. The sink never sends it twice: whatever is not final goes back to
    /// the reader.
    Read {
        /// The server's time of the answer that carried the item, in seconds since 1970.
        at: u64,
    },
}

/// Which of a record's documents an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The document that mirrors the item.
    Live,
    /// The copy of an expired item in the archive index; it cannot be read again.
    Archive,
}

/// One bulk operation: `index` or `delete` with an external version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Where.
    pub address: Address,
    /// The external version (`version_type: external_gte`).
    pub version: ExternalVersion,
    /// What.
    pub action: Action,
    /// Where the content comes from.
    pub origin: Origin,
    /// Live document or archive copy.
    pub role: Role,
}

/// Why a text is no index name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexNameError {
    /// No text at all.
    #[error("an index name cannot be empty")]
    Empty,
    /// Longer than 240 bytes.
    #[error("the index name has {0} bytes, but only 240 are allowed")]
    TooLong(usize),
    /// It starts with `_`, `-` or `+`, or is `.` or `..`.
    #[error("an index name cannot start with '_', '-' or '+', or be '.' or '..'")]
    Start,
    /// A character that OpenSearch refuses.
    #[error("an index name cannot contain {0:?}")]
    Character(char),
    /// A character that OpenSearch refuses; it comes from an attribute's value, so it is not shown.
    #[error("an attribute's value holds a character that an index name cannot contain")]
    CharacterOfValue,
    /// It ends in `-live` or `-NNNNNN`, which streamdex uses itself.
    #[error("index names ending in '-live' or '-' and six digits are reserved")]
    Reserved,
}

/// A text that is no document id: empty, or longer than [`LONGEST_ID`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a document id has 1 to {LONGEST_ID} bytes, but this one has {0}")]
pub struct DocumentIdError(pub usize);

// === impl IndexName ===

impl IndexName {
    /// Checks `name`. Upper case is refused here; placeholders are lower-cased before.
    ///
    /// # Errors
    /// The first rule that the name breaks (OpenSearch, `MetadataCreateIndexService`).
    pub fn parse(name: &str) -> Result<IndexName, IndexNameError> {
        const LONGEST: usize = 240;
        if name.is_empty() {
            return Err(IndexNameError::Empty);
        }
        if name.len() > LONGEST {
            return Err(IndexNameError::TooLong(name.len()));
        }
        if name.starts_with(['_', '-', '+']) || name == "." || name == ".." {
            return Err(IndexNameError::Start);
        }
        let refused =
            |c: &char| r#"\/*?"<>|,#:"#.contains(*c) || c.is_whitespace() || c.is_control() || c.is_uppercase();
        if let Some(character) = name.chars().find(refused) {
            return Err(IndexNameError::Character(character));
        }
        if is_reserved(name) {
            return Err(IndexNameError::Reserved);
        }
        Ok(IndexName(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_reserved(name: &str) -> bool {
    let generation =
        name.rsplit_once('-').is_some_and(|(_, end)| end.len() == 6 && end.bytes().all(|b| b.is_ascii_digit()));
    name.ends_with("-live") || generation
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl DocumentId ===

impl DocumentId {
    /// For [`crate::id`], which keeps the length.
    pub(crate) fn new(text: String) -> DocumentId {
        DocumentId(text.into())
    }

    /// Takes an id that was made before, as one in a stored dead letter.
    ///
    /// # Errors
    /// It is empty or longer than [`LONGEST_ID`] bytes.
    pub fn parse(text: &str) -> Result<DocumentId, DocumentIdError> {
        match text.len() {
            1..=LONGEST_ID => Ok(DocumentId(text.into())),
            length => Err(DocumentIdError(length)),
        }
    }

    /// The id, as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ids are private: `Debug` shows the length alone.
impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentId({} bytes)", self.0.len())
    }
}

// === impl Action ===

/// Documents are private: `Debug` shows the length alone.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Index(document) => write!(f, "Index({} bytes)", document.len()),
            Action::Delete => f.write_str("Delete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_follow_the_rules_of_opensearch() {
        for good in ["sessions", "a", ".hidden", "orders-eu-west-1", "x-12345", "1.2"] {
            assert_eq!(IndexName::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(241);
        for bad in [
            "", "Sessions", "_a", "-a", "+a", ".", "..", "a b", "a/b", "a,b", "a#b", "a:b", "a*", "x-live", "x-000001",
            &long,
        ] {
            assert!(IndexName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_output_is_private() {
        assert_eq!(format!("{:?}", DocumentId::new("secret".into())), "DocumentId(6 bytes)");
        assert_eq!(format!("{:?}", Action::Index("{}".into())), "Index(2 bytes)");
    }
}
