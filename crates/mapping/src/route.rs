//! Routes: which items go to which index, and how. Checked and filled in by `streamdex-config`.

use std::collections::BTreeMap;

use crate::operation::IndexName;

/// One `[[route]]`. The first route of a source whose conditions all hold takes an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The index, with or without placeholders.
    pub index: IndexPattern,
    /// Conditions that must all hold; empty takes everything.
    pub when: Vec<Condition>,
    /// The key attributes in the order in which they make the id; `None`: ascending by name.
    pub id: Option<Vec<String>>,
    /// How the id is written.
    pub id_form: IdForm,
    /// The key attribute whose value routes the document to its shard of the index.
    pub routing: Option<String>,
    /// Attributes to keep; empty keeps all.
    pub include: Vec<String>,
    /// Attributes to leave out.
    pub exclude: Vec<String>,
    /// Attribute name to field name, top level.
    pub rename: BTreeMap<String, String>,
    /// How numbers are written.
    pub numbers: NumberForm,
    /// The TTL attribute and what its expiries do.
    pub ttl: Option<Ttl>,
    /// How many indices the placeholders of `index` may give.
    pub max_indices: u32,
}

/// An index name, or one with `{attribute}` placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPattern {
    /// One index.
    Fixed(IndexName),
    /// Literal and placeholder parts in order, as `orders-{region}`.
    Placeholders {
        /// The text in the configuration, which is also the key of its `[index."…"]` table.
        text: String,
        /// The parts in order.
        parts: Vec<PatternPart>,
    },
}

/// A part of an [`IndexPattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternPart {
    /// Text taken as it is.
    Literal(String),
    /// The name of a top-level attribute (S, N or BOOL) whose value is put in.
    Attribute(String),
}

/// One condition on a top-level attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The attribute's name.
    pub attribute: String,
    /// What must hold of it.
    pub test: Test,
    /// Whether the test must fail instead.
    pub not: bool,
}

/// What a [`Condition`] asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The attribute is a string with exactly this text.
    EqualsString(String),
    /// The attribute is a number with the same value (compared as decimals, `1` equals `1.0`).
    EqualsNumber(String),
    /// The attribute is this boolean.
    EqualsBool(bool),
    /// The attribute is a string that starts so.
    StartsWith(String),
    /// The attribute is there (`true`) or not (`false`).
    Exists(bool),
}

/// How the document id is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdForm {
    /// The key values as text, hashed only past 512 bytes.
    #[default]
    Plain,
    /// Always `~` and the SHA-256 of that text: for ids that are secrets.
    Hash,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NumberForm {
    /// The decimal digits as a JSON number, all 38 of them.
    #[default]
    Exact,
    /// The decimal digits as a JSON string.
    String,
}

/// The TTL settings of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ttl {
    /// The TTL attribute of the table: a number of seconds since 1970.
    pub attribute: String,
    /// What an expiry does.
    pub on_expiry: OnExpiry,
    /// Take a REMOVE whose old image's TTL lies before the record's creation time for an expiry.
    pub infer_expiry: bool,
}

/// What an expiry does to the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnExpiry {
    /// It is deleted like any other.
    Delete,
    /// It is deleted, and its last form is written to this index.
    Archive(IndexName),
}

// === impl Route ===

impl Route {
    /// What [`Route::max_indices`] is where the configuration gives none.
    pub const DEFAULT_MAX_INDICES: u32 = 100;

    /// A route that takes every item into `index`, with all defaults.
    pub fn to(index: IndexName) -> Route {
        Route {
            index: IndexPattern::Fixed(index),
            when: Vec::new(),
            id: None,
            id_form: IdForm::default(),
            routing: None,
            include: Vec::new(),
            exclude: Vec::new(),
            rename: BTreeMap::new(),
            numbers: NumberForm::default(),
            ttl: None,
            max_indices: Route::DEFAULT_MAX_INDICES,
        }
    }

    /// The field that `attribute` is written to, or `None` where it is left out.
    pub fn field_of<'a>(&'a self, attribute: &'a str) -> Option<&'a str> {
        let kept = self.include.is_empty() || self.include.iter().any(|name| name == attribute);
        let dropped = self.exclude.iter().any(|name| name == attribute) || attribute.starts_with(REPLICATION_PREFIX);
        if !kept || dropped {
            return None;
        }
        Some(self.rename.get(attribute).map_or(attribute, String::as_str))
    }
}

/// Attributes that global tables of version 2017.11.29 add to each item; they are never written.
const REPLICATION_PREFIX: &str = "aws:rep:";

/// Whether some values of the attributes make `parts` into `name`. Names are lower-cased whole.
pub fn could_give(parts: &[PatternPart], name: &str) -> bool {
    match parts.split_first() {
        None => name.is_empty(),
        Some((PatternPart::Literal(text), rest)) => {
            name.strip_prefix(text.to_lowercase().as_str()).is_some_and(|name| could_give(rest, name))
        }
        Some((PatternPart::Attribute(_), rest)) => {
            (0..=name.len()).filter_map(|end| name.get(end..)).any(|name| could_give(rest, name))
        }
    }
}

// === impl IndexPattern ===

impl IndexPattern {
    /// The text that names this index in the configuration (`sessions`, `orders-{region}`).
    pub fn text(&self) -> &str {
        match self {
            IndexPattern::Fixed(name) => name.as_str(),
            IndexPattern::Placeholders { text, .. } => text,
        }
    }
}
