//! Readers from the tree into the raw tables: each reports its own problems and goes on.
//!
//! A type that implements [`Read`] also says its JSON Schema, so one declaration gives both. Tables are
//! declared with [`tables!`], sets of words with [`words!`].

mod example;
#[cfg(feature = "schema")]
mod schema;
mod values;

use std::ops::Deref;

use crate::problem::{Place, Problems};
use crate::tree::{Entry, Node, Value};

/// Reads itself from a value. `None`: it could not, and the problem is reported.
pub(crate) trait Read: Sized {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// What a table says under one key.
#[derive(Debug, Clone, Default)]
pub(crate) enum Key<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something unusable; its problem is reported.
    Bad,
    /// This.
    Given(Located<T>),
}

/// A table whose keys are names of the user's, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Named<T>(pub(crate) Vec<(String, Located<T>)>);

/// `[x]` or `[[x]]`.
#[derive(Debug, Clone)]
pub(crate) enum OneOrMany<T> {
    One(Box<Located<T>>),
    Many(Vec<Located<T>>),
}

/// A string, a number (its text) or a boolean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Number(String),
    Boolean(bool),
}

/// Any table, as JSON.
#[derive(Debug, Clone)]
pub(crate) struct JsonObject(pub(crate) serde_json::Map<String, serde_json::Value>);

/// A number of bytes, or a text as `"5MiB"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteSize(pub(crate) u64);

/// A text as `"60s"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duration(pub(crate) std::time::Duration);

/// Declares tables: each becomes a struct of [`Key`]s with a reader and, where it is asked for, a JSON Schema with what
/// is written here of them.
macro_rules! tables {
    ($(
        $(#[$meta:meta])*
        table $name:ident { $( $(#[$key_meta:meta])* $key:ident: $type:ty, )* }
    )*) => { $(
        #[derive(Debug, Clone, Default)]
        #[cfg_attr(not(feature = "schema"), allow(dead_code, reason = "some keys exist only for their words"))]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $(#[cfg_attr(feature = "schema", $meta)])*
        #[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
        pub(crate) struct $name {
            $( $(#[cfg_attr(feature = "schema", $key_meta)])* pub(crate) $key: crate::read::Key<$type>, )*
        }

        impl crate::read::Read for $name {
            fn read(node: &crate::tree::Node, problems: &mut crate::problem::Problems) -> Option<Self> {
                let table = crate::read::Table::of(node, problems)?;
                table.refuse_unknown(&[$(stringify!($key)),*], problems);
                Some($name { $( $key: table.key(stringify!($key), problems), )* })
            }
        }
    )* };
}

/// Declares a set of words.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        words $name:ident { $( $(#[$word_meta:meta])* $variant:ident = $word:literal, )* }
    )*) => { $(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $(#[cfg_attr(feature = "schema", $meta)])*
        pub(crate) enum $name {
            $( $(#[cfg_attr(feature = "schema", $word_meta)])* #[cfg_attr(feature = "schema", schemars(rename = $word))] $variant, )*
        }

        impl crate::read::Read for $name {
            fn read(node: &crate::tree::Node, problems: &mut crate::problem::Problems) -> Option<Self> {
                let words = [$(($word, $name::$variant)),*];
                crate::read::word(node, &words, problems)
            }
        }
    )* };
}

pub(crate) use {tables, words};

// === impl tables and words ===

/// The entries of a table, for the readers that [`tables!`] makes.
pub(crate) struct Table<'a> {
    entries: &'a [Entry],
}

impl<'a> Table<'a> {
    pub(crate) fn of(node: &'a Node, problems: &mut Problems) -> Option<Table<'a>> {
        match &node.value {
            Value::Table(entries) => Some(Table { entries }),
            _ => wrong_kind(node, "a table", problems),
        }
    }

    pub(crate) fn refuse_unknown(&self, known: &[&str], problems: &mut Problems) {
        for Entry { key, key_place, .. } in self.entries {
            if !known.contains(&key.as_str()) {
                let hint = match nearest(key, known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                problems.error_with_hint(key_place, format!("unknown key {key:?}"), hint);
            }
        }
    }

    pub(crate) fn key<T: Read>(&self, key: &str, problems: &mut Problems) -> Key<T> {
        match self.entries.iter().find(|entry| entry.key == key) {
            None => Key::Absent,
            Some(entry) => Located::read(&entry.node, problems).map_or(Key::Bad, Key::Given),
        }
    }
}

/// Reads one of `words`.
pub(crate) fn word<T: Copy>(node: &Node, words: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let Value::Text { text, written } = &node.value else {
        return wrong_kind(node, &format!("one of {}", quoted(&known)), problems);
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
        return Some(*value);
    }
    let hint = match nearest(written, &known) {
        Some(near) => format!("did you mean {near:?}? known here: {}", quoted(&known)),
        None => format!("known here: {}", quoted(&known)),
    };
    problems.error_with_hint(&node.place, format!("unknown value {written:?}"), hint);
    None
}

/// The known word that `word` is most likely a slip of.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, candidate);
    let best = known.iter().min_by_key(|candidate| distance(candidate))?;
    // One slip for each three letters; and a word cut short, or with something added.
    let close = distance(best) <= (lower.chars().count() / 3).max(1);
    let part = |candidate: &str| {
        candidate.len() > 3 && lower.len() > 3 && (candidate.contains(&lower) || lower.contains(candidate))
    };
    if close { Some(*best) } else { known.iter().copied().find(|candidate| part(candidate)) }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn wrong_kind<T>(node: &Node, expected: &str, problems: &mut Problems) -> Option<T> {
    if !matches!(node.value, Value::Unusable) {
        let message = format!("expected {expected}, found {}", node.value.kind());
        match example::example(node, expected) {
            Some(example) => problems.error_with_hint(&node.place, message, example),
            None => problems.error(&node.place, message),
        }
    }
    None
}

// === impl Key and Located ===

impl<T> Key<T> {
    /// The value and its place.
    pub(crate) fn given(&self) -> Option<&Located<T>> {
        match self {
            Key::Given(located) => Some(located),
            Key::Absent | Key::Bad => None,
        }
    }

    /// The value.
    pub(crate) fn get(&self) -> Option<&T> {
        self.given().map(|located| &located.value)
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Key::Absent)
    }

    /// The value of a key that has to be there.
    pub(crate) fn required(&self, table: &Place, key: &str, problems: &mut Problems) -> Option<&Located<T>> {
        if self.is_absent() {
            problems.missing(table, key);
        }
        self.given()
    }
}

impl Key<String> {
    /// The value of an optional key; an empty text (of an unset variable with an empty default) is none.
    pub(crate) fn present(&self) -> Option<&Located<String>> {
        self.given().filter(|located| !located.is_empty())
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Read> Read for Located<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(|value| Located { value, place: node.place.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named_only_where_it_is_near() {
        let known = ["table", "region", "endpoint_url", "start", "max_batch_bytes"];
        let rows = [
            ("tabel", Some("table")),
            ("Region", Some("region")),
            ("endpoint-url", Some("endpoint_url")),
            ("endpoint", Some("endpoint_url")),
            ("batch_bytes", Some("max_batch_bytes")),
            ("password", None),
            ("x", None),
        ];
        for (word, expected) in rows {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}
