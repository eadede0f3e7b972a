//! Cuts OpenSearch's error reasons down to what may be logged and stored: type, top-level field, expected type.
//!
//! The names inside objects are keys of maps, and so content: a field is named by the attribute that it is in. Reasons
//! quote values ("Preview of field's value: …"), ids and whole documents. So only recognised parts of a reason are
//! passed on: known sentences are parsed from their beginning (a value can only follow the field's name), and all
//! others are dropped.

mod types;

use std::fmt;

use self::types::FIELD_TYPES;

/// A field name in a message is cut at this many characters.
const LONGEST_FIELD: usize = 200;

/// What OpenSearch calls the document itself, in the place of an object's path.
const ROOT_OBJECT: &str = "_doc";

/// The part of an error that may be shown: its type and, if the reason is a known sentence, the detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// OpenSearch's error type, as `mapper_parsing_exception`.
    pub error_type: String,
    /// What the reason says, without any value.
    pub detail: Option<Detail>,
}

/// The sentences that are understood.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// A value does not fit its field.
    Unparsable {
        /// The field.
        field: String,
        /// The type that it is mapped to.
        expected: String,
    },
    /// A plain value where an object is expected.
    NotAnObject {
        /// The field.
        field: String,
    },
    /// The same field as value and as object, or as two types, in one document or against the mapping.
    Conflict {
        /// The field.
        field: String,
    },
    /// A dynamic field would need two types.
    TypeChange {
        /// The field.
        field: String,
        /// The type that it has.
        from: String,
        /// The type that it would need.
        to: String,
    },
    /// An unknown field under `dynamic: strict`.
    UnknownField {
        /// The field.
        field: String,
    },
    /// A string longer than a keyword may be.
    ImmenseTerm {
        /// The field.
        field: String,
    },
    /// A field name that OpenSearch keeps for itself.
    MetadataField {
        /// The field.
        field: String,
    },
    /// A field name that cannot be one: empty, or with a dot at an end.
    FieldName,
    /// Nested deeper than the index allows.
    TooDeep {
        /// `index.mapping.depth.limit`.
        limit: String,
    },
    /// The role lacks a permission.
    Permission {
        /// As the Security plugin names it: `indices:data/write/index`.
        permission: String,
    },
    /// More fields than the index allows; the next documents will meet it too.
    FieldLimit {
        /// `index.mapping.total_fields.limit`.
        limit: String,
    },
    /// The shard holds as many documents as Lucene can count; the next documents will meet it too.
    TooManyDocuments,
    /// A block of the index or the cluster.
    Blocked {
        /// OpenSearch's number of the block, as 8 for `index.blocks.write`.
        block: u32,
    },
}

/// Cuts an error down. `reasons` are the error's own and its cause's; the first that is understood counts, since
/// some versions say no more than "failed to parse" at the top.
pub fn scrub<'a>(error_type: Option<&str>, reasons: impl IntoIterator<Item = &'a str>) -> Scrubbed {
    Scrubbed { error_type: safe_type(error_type), detail: reasons.into_iter().find_map(Detail::read) }
}

// === impl Scrubbed ===

impl Scrubbed {
    /// Whether the next documents will be refused for the same cause, so that an alarm is due.
    pub fn concerns_all(&self) -> bool {
        matches!(self.detail, Some(Detail::FieldLimit { .. } | Detail::TooManyDocuments))
    }

    /// Whether it names what is wrong in the document, so that it is likely to be about this document alone.
    pub fn names_field(&self) -> bool {
        match &self.detail {
            Some(Detail::FieldLimit { .. } | Detail::TooManyDocuments | Detail::Blocked { .. }) | None => false,
            Some(_) => true,
        }
    }

    /// OpenSearch's number of the block that it met.
    pub fn block(&self) -> Option<u32> {
        match self.detail {
            Some(Detail::Blocked { block }) => Some(block),
            _ => None,
        }
    }

    /// What to do about it, where that can be said.
    pub fn hint(&self) -> &'static str {
        match &self.detail {
            Some(Detail::FieldLimit { .. }) => {
                "raise index.mapping.total_fields.limit in [index.NAME] settings, or drop fields with `include` and `exclude`"
            }
            Some(Detail::TooManyDocuments) => "create a new generation of the index with more primary shards",
            Some(Detail::TooDeep { .. }) => {
                "raise index.mapping.depth.limit, or leave the attribute out with `exclude`"
            }
            Some(Detail::ImmenseTerm { .. }) => "in mapping_file, map the field with ignore_above, or only as text",
            Some(Detail::UnknownField { .. }) => "add the field to the mapping, or leave it out with `exclude`",
            Some(Detail::MetadataField { .. } | Detail::FieldName) => {
                "rename the attribute with `rename`, or leave it out with `exclude`"
            }
            Some(Detail::Blocked { .. }) => "remove the block of the index or the cluster",
            Some(_) => {
                "use one type for all values of the attribute, change the field's mapping in mapping_file, or leave it out with `exclude`"
            }
            None => "compare the item with the mapping of the index",
        }
    }
}

impl fmt::Display for Scrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.error_type),
            None => f.write_str(&self.error_type),
        }
    }
}

/// A type is a word of lower-case letters, digits and underscores; anything else is not repeated.
fn safe_type(error_type: Option<&str>) -> String {
    let Some(name) = error_type else { return "unknown_error".to_owned() };
    if is_word(name) { name.to_owned() } else { "unknown_error".to_owned() }
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.len() <= 80 && text.bytes().all(allowed)
}

// === impl Detail ===

impl Detail {
    fn read(reason: &str) -> Option<Detail> {
        // Lucene's and Java's exceptions wrap OpenSearch's own sentence now and then.
        let reason = reason.strip_prefix("java.lang.IllegalArgumentException: ").unwrap_or(reason);
        unparsable(reason)
            .or_else(|| objects(reason))
            .or_else(|| type_change(reason))
            .or_else(|| conflicts(reason))
            .or_else(|| single_fields(reason))
            .or_else(|| field_names(reason))
            .or_else(|| limits(reason))
            .or_else(|| blocked(reason))
            .or_else(|| permission(reason))
    }
}

/// "failed to parse field [age] of type [long] in document with id '…'. Preview of field's value: '…'"
fn unparsable(reason: &str) -> Option<Detail> {
    let (field, rest) = split_after(reason, "failed to parse field [", "] of type [")?;
    let (expected, _) = rest.split_once(']')?;
    Some(Detail::Unparsable { field: safe_field(field), expected: type_or_unknown(expected) })
}

/// "object mapping for [a] tried to parse field [a] as object, but found a concrete value"
fn objects(reason: &str) -> Option<Detail> {
    let (field, _) = split_after(reason, "object mapping for [", "] tried to parse field [")?;
    Some(Detail::NotAnObject { field: safe_field(field) })
}

/// "mapper [l.q] cannot be changed from type [long] to [float]"
fn type_change(reason: &str) -> Option<Detail> {
    let (field, rest) = split_after(reason, "mapper [", "] cannot be changed from type [")?;
    let (from, rest) = rest.split_once("] to [")?;
    let (to, _) = rest.split_once(']')?;
    Some(Detail::TypeChange { field: safe_field(field), from: type_or_unknown(from), to: type_or_unknown(to) })
}

/// "can't merge a non object mapping [t] with an object mapping", and its relatives.
fn conflicts(reason: &str) -> Option<Detail> {
    const BEGINNINGS: [&str; 6] = [
        "can't merge a non object mapping [",
        "can't merge a non-object mapping [",
        "can't merge a non-nested mapping [",
        "can't merge a nested mapping [",
        "object mapping [",
        "mapper [",
    ];
    const ENDS: [&str; 5] = [
        "] with an object mapping",
        "] with a nested mapping",
        "] with a non-nested mapping",
        "] can't be changed from nested",
        "] of different type",
    ];
    let beginnings = BEGINNINGS.iter();
    let field = beginnings
        .flat_map(|begin| ENDS.iter().map(move |end| (begin, end)))
        .find_map(|(begin, end)| split_after(reason, begin, end));
    field.map(|(field, _)| Detail::Conflict { field: safe_field(field) })
}

fn single_fields(reason: &str) -> Option<Detail> {
    let strict = split_after(reason, "mapping set to strict, dynamic introduction of [", "] within [");
    if let Some((name, within)) = strict {
        // The name alone is that of a key where it is inside an object, whose path comes second. A key that holds the
        // words of the sentence makes it unclear which is which.
        let object = within.split(']').next().filter(|_| !within.contains("] within ["));
        let path = object.map_or("", |object| if object == ROOT_OBJECT { name } else { object });
        return Some(Detail::UnknownField { field: safe_field(path) });
    }
    let immense = "Document contains at least one immense term in field=\"";
    if let Some((field, _)) = split_after(reason, immense, "\" (whose") {
        return Some(Detail::ImmenseTerm { field: safe_field(field) });
    }
    let (field, _) = split_after(reason, "Field [", "] is a metadata field")?;
    Some(Detail::MetadataField { field: safe_field(field) })
}

/// Sentences about names that are empty, blank or begin or end with a dot; which name it is, they say only now and then.
fn field_names(reason: &str) -> Option<Detail> {
    const BEGINNINGS: [&str; 4] = [
        "object field starting or ending with a [.]",
        "object field cannot contain only whitespace",
        "field name cannot be an empty string",
        "name cannot be empty string",
    ];
    BEGINNINGS.iter().any(|begin| reason.starts_with(begin)).then_some(Detail::FieldName)
}

fn limits(reason: &str) -> Option<Detail> {
    if let Some((limit, _)) = split_after(reason, "Limit of total fields [", "] has been exceeded") {
        return Some(Detail::FieldLimit { limit: digits(limit)? });
    }
    if let Some((limit, _)) = split_after(reason, "Limit of mapping depth [", "] has been exceeded") {
        return Some(Detail::TooDeep { limit: digits(limit)? });
    }
    let lower = reason.to_ascii_lowercase();
    let too_many = lower.starts_with("number of documents in")
        && (lower.contains("cannot exceed") || lower.contains("can't exceed"));
    too_many.then_some(Detail::TooManyDocuments)
}

/// "index [a] blocked by: [FORBIDDEN/8/index write (api)];", "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered];"
fn blocked(reason: &str) -> Option<Detail> {
    const STATUSES: [&str; 3] = ["[FORBIDDEN/", "[TOO_MANY_REQUESTS/", "[SERVICE_UNAVAILABLE/"];
    let (before, blocks) = reason.split_once("blocked by: ")?;
    if !before.is_empty() && !before.starts_with("index [") {
        return None;
    }
    let rest = STATUSES.iter().find_map(|status| blocks.strip_prefix(status))?;
    let (block, _) = rest.split_once('/')?;
    Some(Detail::Blocked { block: digits(block)?.parse().ok()? })
}

/// "no permissions for [indices:data/write/index] and User [name=…"
fn permission(reason: &str) -> Option<Detail> {
    let (permission, _) = split_after(reason, "no permissions for [", "] and User [")?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || b":/_*[], ".contains(&byte);
    let is_safe = permission.len() <= LONGEST_FIELD && permission.bytes().all(allowed);
    is_safe.then(|| Detail::Permission { permission: permission.to_owned() })
}

/// `text` = `begin` MIDDLE `end` REST.
fn split_after<'a>(text: &'a str, begin: &str, end: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(begin)?.split_once(end)
}

/// A type by its name; what is none could come from the name of a field or from a value.
fn type_or_unknown(text: &str) -> String {
    if FIELD_TYPES.contains(&text) { text.to_owned() } else { "?".to_owned() }
}

fn digits(text: &str) -> Option<String> {
    let numeric = !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    numeric.then(|| text.to_owned())
}

/// The top-level field of a path.
fn safe_field(path: &str) -> String {
    let field = path.split('.').next().filter(|field| !field.is_empty()).unwrap_or("?");
    field.chars().take(LONGEST_FIELD).map(|character| if character.is_control() { '?' } else { character }).collect()
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::Unparsable { field, expected } => write!(f, "the value of field [{field}] is no {expected}"),
            Detail::NotAnObject { field } => {
                write!(f, "field [{field}] holds a plain value where the mapping has an object")
            }
            Detail::Conflict { field } => write!(f, "field [{field}] is an object here and a plain value there"),
            Detail::TypeChange { field, from, to } => {
                write!(f, "field [{field}] would have to change from {from} to {to}")
            }
            Detail::UnknownField { field } => write!(f, "field [{field}] is not in the mapping, which is strict"),
            Detail::ImmenseTerm { field } => write!(f, "field [{field}] holds a term longer than 32,766 bytes"),
            Detail::MetadataField { field } => write!(f, "field [{field}] has a name that OpenSearch reserves"),
            Detail::FieldName => f.write_str("a field name is empty, or begins or ends with a dot"),
            Detail::TooDeep { limit } => write!(f, "objects are nested deeper than {limit} levels"),
            Detail::FieldLimit { limit } => write!(f, "the index would have more than {limit} fields"),
            Detail::TooManyDocuments => f.write_str("the shard cannot hold more documents"),
            Detail::Blocked { block } => write!(f, "block {block}"),
            Detail::Permission { permission } => write!(f, "no permission {permission}"),
        }
    }
}

#[cfg(test)]
mod names;

#[cfg(test)]
mod tests;
