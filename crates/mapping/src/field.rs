//! Field names: reserved names, and two values for one field.

use crate::image::short_name;

/// Why an item gives no document. It names the field, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Two values would be written to one field.
    #[error("two values are written to field {:?}: rename or exclude an attribute in the route", short_name(.0))]
    Collision(String),
    /// A name with more dots than OpenSearch takes levels of objects.
    #[error("the name of field {:?} has too many dots to be written as objects: exclude the attribute in the route", short_name(.0))]
    TooDeep(String),
}

/// The time at which an archived item expired, as a field of its archive copy.
pub const EXPIRED_AT: &str = "expired_at";

/// Root names that are metadata on one of the supported lines of OpenSearch; refused there, or taken as
/// plain fields with another meaning.
const RESERVED: [&str; 18] = [
    "_all",
    "_data_stream_timestamp",
    "_doc_count",
    "_field_names",
    "_id",
    "_ignored",
    "_index",
    "_meta",
    "_nested_path",
    "_parent",
    "_primary_term",
    "_routing",
    "_seq_no",
    "_size",
    "_source",
    "_type",
    "_uid",
    "_version",
];

/// Whether a root field of this name would be metadata to OpenSearch. An attribute of this name is written to another field
/// ([`crate::route::RESERVED_PREFIX`]), and the configuration refuses to rename to it.
pub fn is_reserved_field(name: &str) -> bool {
    RESERVED.contains(&name)
}
