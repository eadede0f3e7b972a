//! DynamoDB JSON (`{"S": "…"}`) straight into an [`Image`], borrowed, in one pass.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::image::{AttributeProblemKind, Container, Image, Node, is_json_number};
use crate::text::{Binary, Text};

/// Reads a map of attributes and appends it to the image. `null` reads as no attributes.
pub(super) struct ImageSeed<'i, 'de>(pub(super) &'i mut Image<'de>);

/// Reads one attribute value and appends it to the image.
struct ValueSeed<'i, 'de> {
    image: &'i mut Image<'de>,
    /// The top-level attribute that this is in, for problems.
    attribute: Text<'de>,
}

/// Reads the content of a container, value by value.
struct ContentSeed<'i, 'de> {
    image: &'i mut Image<'de>,
    attribute: Text<'de>,
    container: Container,
}

/// The type tags of DynamoDB.
#[derive(Clone, Copy)]
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
    type Value = Tag;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tag, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for TagSeed {
    type Value = Tag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type tag")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tag, E> {
        Ok(match text {
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
        })
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
        while let Some(name) = map.next_key::<&RawValue>()? {
            let attribute = Text::Json(name.get());
            self.0.nodes.push(Node::Name(attribute));
            map.next_value_seed(ValueSeed { image: self.0, attribute })?;
        }
        Ok(())
    }
}

// === impl ValueSeed ===

impl<'de> ValueSeed<'_, 'de> {
    fn literal(&mut self, raw: &'de RawValue) -> Option<Text<'de>> {
        let literal = raw.get();
        if literal.starts_with('"') {
            return Some(Text::Json(literal));
        }
        self.image.report(self.attribute, AttributeProblemKind::WrongValue);
        None
    }

    fn push_scalar(&mut self, tag: Tag, raw: &'de RawValue) {
        let node = match tag {
            Tag::Bool => match raw.get() {
                "true" => Some(Node::Bool(true)),
                "false" => Some(Node::Bool(false)),
                _ => None,
            },
            Tag::Null => Some(Node::Null),
            _ => self.literal(raw).and_then(|text| scalar(tag, text)),
        };
        match node {
            Some(node) => self.image.nodes.push(node),
            None => self.wrong(tag),
        }
    }

    /// Keeps the run of nodes whole, and remembers that the image is not to be used.
    fn wrong(&mut self, tag: Tag) {
        let kind =
            if matches!(tag, Tag::N) { AttributeProblemKind::NotANumber } else { AttributeProblemKind::WrongValue };
        self.image.report(self.attribute, kind);
        self.image.nodes.push(Node::Null);
    }
}

/// The node of a value that is written as a JSON string; `None`: an `N` that is no number.
fn scalar(tag: Tag, text: Text<'_>) -> Option<Node<'_>> {
    match tag {
        Tag::N => Some(text.inner()).filter(|digits| is_json_number(digits)).map(Node::Number),
        Tag::B => Some(Node::Binary(Binary::Base64(text))),
        _ => Some(Node::String(text)),
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
        let Some(tag) = map.next_key_seed(TagSeed)? else {
            self.image.report(self.attribute, AttributeProblemKind::NoTag);
            self.image.nodes.push(Node::Null);
            return Ok(());
        };
        let attribute = self.attribute;
        let container = match tag {
            Tag::L => Some(Container::List),
            Tag::M => Some(Container::Map),
            Tag::Ss => Some(Container::StringSet),
            Tag::Ns => Some(Container::NumberSet),
            Tag::Bs => Some(Container::BinarySet),
            Tag::Unknown => {
                map.next_value::<IgnoredAny>()?;
                self.image.report(attribute, AttributeProblemKind::UnknownTag);
                self.image.nodes.push(Node::Null);
                None
            }
            scalar => {
                let raw = map.next_value::<&RawValue>()?;
                self.push_scalar(scalar, raw);
                None
            }
        };
        if let Some(container) = container {
            map.next_value_seed(ContentSeed { image: self.image, attribute, container })?;
        }
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value::<IgnoredAny>()?;
            self.image.report(attribute, AttributeProblemKind::SeveralTags);
        }
        Ok(())
    }
}

// === impl ContentSeed ===

impl<'de> DeserializeSeed<'de> for ContentSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let at = self.image.nodes.len();
        self.image.nodes.push(Node::Null);
        let container = self.container;
        let ContentSeed { image, attribute, .. } = self;
        let content = ContentSeed { image: &mut *image, attribute, container };
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
        while let Some(name) = map.next_key::<&RawValue>()? {
            self.image.nodes.push(Node::Name(Text::Json(name.get())));
            map.next_value_seed(ValueSeed { image: self.image, attribute: self.attribute })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let tag = match self.container {
            Container::List => {
                let values = (self.image, self.attribute);
                while seq.next_element_seed(ValueSeed { image: values.0, attribute: values.1 })?.is_some() {}
                return Ok(());
            }
            Container::StringSet => Tag::S,
            Container::NumberSet => Tag::N,
            Container::BinarySet => Tag::B,
            Container::Map => return Err(A::Error::custom("a map is no list")),
        };
        let mut value = ValueSeed { image: self.image, attribute: self.attribute };
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            value.push_scalar(tag, raw);
        }
        Ok(())
    }
}
