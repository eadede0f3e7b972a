//! DynamoDB JSON (`{"S": "…"}`) straight into an [`Image`], borrowed, in one pass.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use serde_json::value::RawValue;

use super::string::{Scalar, ScalarSeed, Strings};
use crate::image::{AttributeProblemKind, Container, Image, Node, is_json_number};
use crate::names::last_wins;
use crate::text::{Binary, Text};

/// Reads a map of attributes into an empty image. `null` reads as no attributes. Of attributes of one name, the last one
/// counts, as everywhere in JSON here.
pub(super) struct ImageSeed<'i, 'de>(pub(super) &'i mut Image<'de>, pub(super) Strings<'de>);

/// Reads one attribute value and appends it to the image.
struct ValueSeed<'i, 'de> {
    image: &'i mut Image<'de>,
    strings: Strings<'de>,
    /// The top-level attribute that this is in, for problems.
    attribute: Text<'de>,
}

/// Reads the content of a container, value by value.
struct ContentSeed<'i, 'de> {
    image: &'i mut Image<'de>,
    /// They stand behind the container's type tag.
    strings: Strings<'de>,
    attribute: Text<'de>,
    container: Container,
}

/// The type tags of DynamoDB.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    S,
    N,
    B,
    Bool,
    Null,
    L,
    M,
    Ss,
    Ns,
    Bs,
    Unknown,
}

struct TagSeed;

impl<'de> DeserializeSeed<'de> for TagSeed {
    /// The tag, and its text where that has no escapes.
    type Value = (Tag, Option<&'de str>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TagSeed {
    type Value = (Tag, Option<&'de str>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type tag")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok((Tag::parse(text), Some(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((Tag::parse(text), None))
    }
}

impl Tag {
    fn parse(text: &str) -> Tag {
        match text {
            "S" => Tag::S,
            "N" => Tag::N,
            "B" => Tag::B,
            "BOOL" => Tag::Bool,
            "NULL" => Tag::Null,
            "L" => Tag::L,
            "M" => Tag::M,
            "SS" => Tag::Ss,
            "NS" => Tag::Ns,
            "BS" => Tag::Bs,
            _ => Tag::Unknown,
        }
    }
}

// === impl ImageSeed ===

impl<'de> DeserializeSeed<'de> for ImageSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ImageSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of attributes")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let ImageSeed(image, strings) = self;
        while let Some(attribute) = strings.next_name(&mut map)? {
            image.nodes.push(Node::Name(attribute));
            match strings {
                Strings::Lent { .. } => map.next_value_seed(ValueSeed { image, strings, attribute })?,
                Strings::Raw => read_alone(image, attribute, map.next_value()?),
            }
        }
        last_wins(&mut image.nodes, 0);
        if image.problem().is_some() {
            // It may have been in a value that another one of the same name followed.
            image.look_for_problems();
        }
        Ok(())
    }
}

/// Reads the value of one attribute; where it is none, that is the attribute's problem, and its neighbours are read.
fn read_alone<'de>(image: &mut Image<'de>, attribute: Text<'de>, raw: &'de RawValue) {
    let at = image.nodes.len();
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let seed = ValueSeed { image: &mut *image, strings: Strings::Raw, attribute };
    if seed.deserialize(&mut deserializer).is_err() {
        image.nodes.truncate(at);
        image.push_broken(attribute, AttributeProblemKind::Unreadable);
    }
}

// === impl ValueSeed ===

impl<'de> ValueSeed<'_, 'de> {
    fn push_scalar(&mut self, tag: Tag, value: Scalar<'de>) {
        let node = match (tag, value) {
            (Tag::Bool, Scalar::Bool(value)) => Some(Node::Bool(value)),
            (Tag::Null, _) => Some(Node::Null),
            (Tag::S, Scalar::Text(text)) => Some(Node::String(text)),
            (Tag::B, Scalar::Text(text)) => Some(Node::Binary(Binary::Base64(text))),
            (Tag::N, Scalar::Text(text)) => {
                Some(text).filter(|digits| is_json_number(&digits.decode())).map(Node::Number)
            }
            _ => None,
        };
        match node {
            Some(node) => self.image.nodes.push(node),
            None => self.image.push_broken(self.attribute, wrong(tag, value)),
        }
    }

    /// Reads what stands behind a type tag.
    fn read_tagged<A: MapAccess<'de>>(
        &mut self,
        (tag, tag_text): (Tag, Option<&'de str>),
        map: &mut A,
    ) -> Result<(), A::Error> {
        let strings = self.strings.behind(tag_text);
        let container = match tag {
            Tag::L => Container::List,
            Tag::M => Container::Map,
            Tag::Ss => Container::StringSet,
            Tag::Ns => Container::NumberSet,
            Tag::Bs => Container::BinarySet,
            Tag::Unknown => {
                map.next_value::<IgnoredAny>()?;
                self.image.push_broken(self.attribute, AttributeProblemKind::UnknownTag);
                return Ok(());
            }
            Tag::Bool | Tag::Null => {
                let value = map.next_value_seed(ScalarSeed::Bool(strings))?;
                self.push_scalar(tag, value);
                return Ok(());
            }
            Tag::S | Tag::N | Tag::B => {
                let value = map.next_value_seed(ScalarSeed::String(strings))?;
                self.push_scalar(tag, value);
                return Ok(());
            }
        };
        map.next_value_seed(ContentSeed { image: &mut *self.image, strings, attribute: self.attribute, container })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let at = self.image.nodes.len();
        let (mut first, mut several) = (None, false);
        while let Some((tag, tag_text)) = map.next_key_seed(TagSeed)? {
            if *first.get_or_insert(tag) != tag {
                several = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            // The same tag once more: the last one counts.
            self.image.nodes.truncate(at);
            self.read_tagged((tag, tag_text), &mut map)?;
        }
        if several {
            self.image.nodes.truncate(at);
            self.image.push_broken(self.attribute, AttributeProblemKind::SeveralTags);
        } else if first.is_none() {
            self.image.push_broken(self.attribute, AttributeProblemKind::NoTag);
        }
        Ok(())
    }
}

fn wrong(tag: Tag, value: Scalar<'_>) -> AttributeProblemKind {
    match (tag, value) {
        (Tag::N, Scalar::Text(_)) => AttributeProblemKind::NotANumber,
        _ => AttributeProblemKind::WrongValue,
    }
}

// === impl ContentSeed ===

impl<'de> DeserializeSeed<'de> for ContentSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let at = self.image.nodes.len();
        self.image.nodes.push(Node::Null);
        let container = self.container;
        let ContentSeed { image, strings, attribute, .. } = self;
        let content = ContentSeed { image: &mut *image, strings, attribute, container };
        if container == Container::Map {
            deserializer.deserialize_map(content)?
        } else {
            deserializer.deserialize_seq(content)?
        }
        image.seal(at, container);
        Ok(())
    }
}

impl<'de> Visitor<'de> for ContentSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the content of a container")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let ContentSeed { image, strings, attribute, .. } = self;
        let from = image.nodes.len();
        while let Some(name) = strings.next_name(&mut map)? {
            image.nodes.push(Node::Name(name));
            map.next_value_seed(ValueSeed { image, strings, attribute })?;
        }
        last_wins(&mut image.nodes, from);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let ContentSeed { image, mut strings, attribute, container } = self;
        let tag = match container {
            Container::List => {
                while seq.next_element_seed(ValueSeed { image, strings, attribute })?.is_some() {}
                return Ok(());
            }
            Container::StringSet => Tag::S,
            Container::NumberSet => Tag::N,
            Container::BinarySet => Tag::B,
            Container::Map => return Err(A::Error::custom("a map is no list")),
        };
        while let Some(element) = seq.next_element_seed(ScalarSeed::String(strings))? {
            strings = strings.behind_element(element);
            ValueSeed { image, strings, attribute }.push_scalar(tag, element);
        }
        Ok(())
    }
}
