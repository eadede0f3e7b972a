//! Strings and other plain values, borrowed from the text that is being parsed.
//!
//! The parser lends a string out of the text where it has no escapes, which is nearly always. One with escapes it
//! only decodes, but the mapping wants the literal: it is copied into the document as it is, and an event full of
//! escaped JSON must not need its size in memory again. So such a literal is looked up behind the token before it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::Text;

/// How strings are borrowed.
#[derive(Clone, Copy)]
pub(super) enum Strings<'de> {
    /// As the parser lends them; a literal with escapes is looked up. What cannot be found, or is not of the kind that
    /// its type tag says, stops the reading.
    Lent {
        /// What is being parsed.
        text: &'de str,
        /// The string before the next value, as the parser lent it; `None`: not known.
        before: Option<&'de str>,
    },
    /// As raw JSON, each of them: slower, and never stops.
    Raw,
}

/// A value without members.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'de> {
    Text(Text<'de>),
    Bool(bool),
    /// Anything else, containers included.
    Other,
}

/// Reads a value without members: a string, or one of `true` and `false`.
pub(super) enum ScalarSeed<'de> {
    String(Strings<'de>),
    Bool(Strings<'de>),
}

struct NameSeed;

// === impl Strings ===

impl<'de> Strings<'de> {
    pub(super) fn lent(text: &'de str) -> Strings<'de> {
        Strings::Lent { text, before: None }
    }

    /// The next value stands behind this string.
    pub(super) fn behind(self, before: Option<&'de str>) -> Strings<'de> {
        match self {
            Strings::Lent { text, .. } => Strings::Lent { text, before },
            Strings::Raw => Strings::Raw,
        }
    }

    /// The next value stands behind this element of a list.
    pub(super) fn behind_element(self, element: Scalar<'de>) -> Strings<'de> {
        match element {
            // Without its closing quote, as the parser lends it.
            Scalar::Text(Text::Json(literal)) => self.behind(literal.strip_suffix('"')),
            Scalar::Text(Text::Clean(text)) => self.behind(Some(text)),
            _ => self.behind(None),
        }
    }

    /// The next member name of a map.
    pub(super) fn next_name<A: MapAccess<'de>>(self, map: &mut A) -> Result<Option<Text<'de>>, A::Error> {
        match self {
            Strings::Lent { .. } => map.next_key_seed(NameSeed),
            Strings::Raw => {
                let Some(raw) = map.next_key::<&RawValue>()? else { return Ok(None) };
                Text::of_literal(raw.get()).map(Some).ok_or_else(|| A::Error::custom("a name that is no text"))
            }
        }
    }
}

/// The string literal behind `before`, a part of `text` that a quote follows.
fn literal_behind<'de>(text: &'de str, before: &str) -> Option<&'de str> {
    let at = before.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let rest = text.get(at + before.len()..)?.strip_prefix('"')?;
    let literal = rest.trim_start_matches([' ', '\t', '\r', '\n', ':', '[', ',']);
    let content = literal.strip_prefix('"')?;
    let mut escaped = false;
    let end = content.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => byte == b'"',
    })?;
    literal.get(..end + 2)
}

// === impl NameSeed ===

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Text<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text::Clean(text))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Text<'de>, E> {
        Err(E::custom("a name with escapes"))
    }
}

// === impl ScalarSeed ===

impl<'de> DeserializeSeed<'de> for ScalarSeed<'de> {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        match self {
            ScalarSeed::String(Strings::Lent { .. }) => deserializer.deserialize_str(self),
            ScalarSeed::Bool(Strings::Lent { .. }) => deserializer.deserialize_bool(self),
            ScalarSeed::String(Strings::Raw) | ScalarSeed::Bool(Strings::Raw) => {
                let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
                Ok(Scalar::of_raw(raw))
            }
        }
    }
}

impl<'de> Scalar<'de> {
    fn of_raw(raw: &'de RawValue) -> Scalar<'de> {
        match raw.get() {
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            literal if literal.starts_with('"') => Text::of_literal(literal).map_or(Scalar::Other, Scalar::Text),
            _ => Scalar::Other,
        }
    }
}

impl<'de> Visitor<'de> for ScalarSeed<'de> {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Text::Clean(text)))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Scalar<'de>, E> {
        let found = match self {
            ScalarSeed::String(Strings::Lent { text, before: Some(before) }) => literal_behind(text, before),
            _ => None,
        };
        found.map(|literal| Scalar::Text(Text::Json(literal))).ok_or_else(|| E::custom("a string with escapes"))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_found_behind_the_string_before_it() {
        let text = r#"{"é":{"S" : "a\"b\\"},"SS":["x","\u00e9"]}"#;
        let part = |wanted: &str| text.get(text.find(wanted).unwrap()..).unwrap().get(..wanted.len()).unwrap();
        assert_eq!(literal_behind(text, part("S")), Some(r#""a\"b\\""#));
        assert_eq!(literal_behind(text, part("x")), Some(r#""\u00e9""#));
        assert_eq!(literal_behind(text, part("é")), None);
        assert_eq!(literal_behind(text, part(r"\u00e9")), None);
        let elsewhere = String::from("S");
        let found = literal_behind(text, &elsewhere);
        assert!(found.is_none_or(|literal| literal.starts_with('"')), "never out of bounds");
    }
}
