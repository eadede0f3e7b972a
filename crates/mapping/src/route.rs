//! Routes: which items go to which index, and how. Checked and filled in by `streamdex-config`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::field::is_reserved_field;
use crate::operation::IndexName;
use crate::path::Path;

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
    /// What to keep; empty keeps all.
    pub include: Vec<Path>,
    /// What to leave out.
    pub exclude: Vec<Path>,
    /// Attribute name to field name, top level.
    pub rename: BTreeMap<String, String>,
    /// The attributes that are written as JSON text, with members in ascending order of their names.
    pub as_json: Vec<Path>,
    /// How numbers are written.
    pub numbers: NumberForm,
    /// The places whose numbers are written as JSON strings, nested numbers included.
    pub numbers_as_string: Vec<Path>,
    /// The places whose numbers are times, written in milliseconds since 1970.
    pub dates: Vec<Path>,
    /// What becomes of names with dots.
    pub dots: Dots,
    /// Fields that are made of other values. Each takes the place of an attribute that would be written to it.
    pub set: BTreeMap<String, FieldValue>,
    /// The TTL attribute and what its expiries do.
    pub ttl: Option<Ttl>,
    /// The largest number of indices that the placeholders of `index` may produce.
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// The attribute has one of these values; each is compared as its own test would.
    OneOf(Vec<Constant>),
    /// The attribute is a string that is these parts with anything between them; at least two.
    Like(Vec<String>),
}

/// A value of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Constant {
    /// A string.
    String(String),
    /// A number, as it was written.
    Number(String),
    /// A boolean.
    Bool(bool),
}

/// The source of a field that is not an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// The value at this path; through lists, a list of values. Without it there is no field.
    From(Path),
    /// The text after the first `mark` in the string at this path. Without either there is no field.
    After {
        /// The place of the string.
        from: Path,
        /// What stands before the value.
        mark: String,
    },
    /// This.
    Constant(Constant),
    /// A `geo_point` of two numbers, or strings that are numbers; without both there is no field.
    Point {
        /// The latitude.
        lat: Path,
        /// The longitude.
        lon: Path,
    },
}

/// The treatment of names with dots, which OpenSearch reads as paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dots {
    /// They stay as they are.
    #[default]
    Keep,
    /// `a.b` becomes a member `b` of an object `a`.
    Expand,
    /// `a.b` becomes `a_b`.
    Underscore,
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

// === impl Condition ===

/// What it asks, in words; the attribute is not repeated.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.not {
            f.write_str("not ")?;
        }
        match &self.test {
            Test::EqualsString(text) => write!(f, "equals {text:?}"),
            Test::EqualsNumber(digits) => write!(f, "equals {digits}"),
            Test::EqualsBool(value) => write!(f, "equals {value}"),
            Test::StartsWith(prefix) => write!(f, "starts_with {prefix:?}"),
            Test::Exists(exists) => write!(f, "exists {exists}"),
            Test::Like(parts) => write!(f, "like {:?}", parts.join("*")),
            Test::OneOf(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "one_of [{}]", values.join(", "))
            }
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::String(text) => write!(f, "{text:?}"),
            Constant::Number(digits) => f.write_str(digits),
            Constant::Bool(value) => write!(f, "{value}"),
        }
    }
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
            as_json: Vec::new(),
            numbers: NumberForm::default(),
            numbers_as_string: Vec::new(),
            dates: Vec::new(),
            dots: Dots::default(),
            set: BTreeMap::new(),
            ttl: None,
            max_indices: Route::DEFAULT_MAX_INDICES,
        }
    }

    /// The field that `attribute` is written to, or `None` where it is left out. Under [`Dots::Expand`] the dots in it part
    /// the names of objects.
    pub fn field_of<'a>(&'a self, attribute: &'a str) -> Option<Cow<'a, str>> {
        let kept = self.include.is_empty() || self.include.iter().any(|path| path.attribute() == attribute);
        let dropped = self.exclude.iter().any(|path| path.is_attribute() && path.attribute() == attribute);
        if !kept || dropped || attribute.starts_with(REPLICATION_PREFIX) {
            return None;
        }
        let renamed = self.rename.get(attribute).map_or(attribute, String::as_str);
        let field = root_name(with_dots(Cow::Borrowed(renamed), self.dots));
        (!self.set.contains_key(field.as_ref())).then_some(field)
    }
}

/// A name of a member, as `dots` has it; what is to be expanded stays as it is.
pub(crate) fn with_dots(name: Cow<'_, str>, dots: Dots) -> Cow<'_, str> {
    if dots == Dots::Underscore && name.contains('.') { Cow::Owned(name.replace('.', "_")) } else { name }
}

/// A name at the root of a document: what OpenSearch keeps for itself gets a prefix.
pub(crate) fn root_name(name: Cow<'_, str>) -> Cow<'_, str> {
    if is_reserved_field(&name) { Cow::Owned(format!("{RESERVED_PREFIX}{name}")) } else { name }
}

/// Before the names of attributes that OpenSearch keeps for itself: `_id` is written to `x_id`.
pub const RESERVED_PREFIX: &str = "x";

/// Attributes that global tables of version 2017.11.29 add to each item; they are never written.
pub(crate) const REPLICATION_PREFIX: &str = "aws:rep:";

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
