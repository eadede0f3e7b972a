//! Changes that cannot be mapped completely: the reason, what is sent anyway, and what may be stale.

use std::fmt;

use crate::document::DocumentError;
use crate::id::KeyError;
use crate::image::AttributeProblem;
use crate::mapped::Mapped;
use crate::matching::PatternError;
use crate::operation::Address;

/// Why a change cannot be mapped. Names of top-level attributes appear in it, values and names inside maps never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The record has no usable creation time, so it has no version.
    #[error("the record has no usable ApproximateCreationDateTime")]
    NoTime,
    /// An image holds something that is no DynamoDB value.
    #[error(transparent)]
    Attribute(#[from] AttributeProblem),
    /// The key gives no id.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The item gives no index.
    #[error(transparent)]
    Pattern(PatternError),
    /// The item gives no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An expiry is to be archived, but the stream carries no old image.
    #[error("an expiry without the old image, which on_expiry = \"archive\" needs")]
    NothingToArchive,
}

/// A change that becomes a dead letter. Its documents are still updated as far as possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Why.
    pub error: MapError,
    /// The work that is done anyway: deletes that are right in spite of the error, the new image beside an unreadable
    /// old one, or the item itself if it was read.
    pub sent: Option<Mapped>,
    /// The address of the document, actual or intended, which a repair has to check.
    pub address: Option<Address>,
    /// What that leaves behind.
    pub remains: Remains,
}

/// What a refused change leaves behind in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remains {
    /// Nothing was sent, and nothing is known of its documents.
    Unknown,
    /// The item is gone, and so is its document.
    Deleted,
    /// The item is gone, and so is its document; the archive copy is missing.
    NotArchived,
    /// The document keeps the content of an earlier change.
    Stale,
    /// The document at the earlier address is deleted, and none is written.
    Moved,
    /// No document is written.
    NotWritten,
    /// The document is written; only the old image is bad.
    Written,
    /// An address that the old image would have named is not known, and a document may be left there.
    LeftOver,
    /// The item is read and written as it is now.
    Read,
}

// === impl MapError ===

impl From<PatternError> for MapError {
    fn from(error: PatternError) -> MapError {
        match error {
            PatternError::Unreadable(problem) => MapError::Attribute(problem),
            error => MapError::Pattern(error),
        }
    }
}

impl MapError {
    /// Whether the configuration is wrong, unless other records of the table prove it right: see
    /// [`Mapper::fits`](crate::Mapper::fits).
    pub fn is_configuration(&self) -> bool {
        matches!(self, MapError::Key(KeyError::IdMismatch { .. } | KeyError::RoutingMismatch(_)))
    }

    /// A word for the kind of problem.
    pub fn name(&self) -> &'static str {
        match self {
            MapError::NoTime => "no_creation_time",
            MapError::Attribute(problem) => problem.kind.name(),
            MapError::Key(_) => "no_document_id",
            MapError::Pattern(_) => "no_index_name",
            MapError::Document(DocumentError::Collision(_)) => "colliding_field_name",
            MapError::Document(DocumentError::TooDeep(_)) => "deep_field_name",
            MapError::NothingToArchive => "nothing_to_archive",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            MapError::NoTime => "write the item to the table again: the new change has a time",
            MapError::Attribute(_) => "correct the item in the table; that writes it again",
            MapError::Key(KeyError::IdMismatch { .. }) => {
                "name exactly the key attributes of the table in the route's id"
            }
            MapError::Key(KeyError::RoutingMismatch(_)) => "set routing to the partition key or the sort key",
            MapError::Key(_) => "this key cannot be a document id; filter the item with `when`",
            MapError::Pattern(_) => {
                "give the attribute a value that is allowed in an index name, or filter the item with `when`"
            }
            MapError::Document(_) => "rename or exclude the attribute in the route",
            MapError::NothingToArchive => "let the stream carry old images (NEW_AND_OLD_IMAGES)",
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// A change of which nothing can be sent.
    pub(crate) fn of(error: impl Into<MapError>) -> Box<Refusal> {
        Box::new(Refusal { error: error.into(), sent: None, address: None, remains: Remains::Unknown })
    }
}

/// The error, and what it leaves behind: the text of a dead letter.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remains.sentence() {
            Some(sentence) => write!(f, "{}; {sentence}", self.error),
            None => self.error.fmt(f),
        }
    }
}

// === impl Remains ===

impl Remains {
    /// An explanation for people.
    pub fn sentence(self) -> Option<&'static str> {
        match self {
            Remains::Unknown => None,
            Remains::Deleted => Some("its document is deleted anyway"),
            Remains::NotArchived => Some("its document is deleted anyway, without an archive copy"),
            Remains::Stale => Some("its document keeps the content of an earlier change"),
            Remains::Moved => Some("its document is deleted at the earlier address, and is not written"),
            Remains::NotWritten => Some("its document is not written"),
            Remains::Written => Some("its document is written from the new image"),
            Remains::LeftOver => Some("a document at an earlier address may be left over"),
            Remains::Read => Some("its document is written from the item as it is read"),
        }
    }
}
