//! One item as its text was read: for each attribute the part of the text that it was read from, and the part of the
//! output that it was written to.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::text::Text;

/// An item, or the key of one: its top-level attributes in the order in which they came, no name twice.
#[derive(Debug, Clone, Default)]
pub struct Image<'a> {
    pub(crate) attributes: Vec<Attribute<'a>>,
    /// What the attributes were written to, as members of a JSON object with numbers as they came.
    pub(crate) written: Bytes,
    /// Where in `written` the object of all attributes stands, if it stands there in one piece.
    pub(crate) whole: Option<Range<usize>>,
    /// A name may be special, that is, not usable as a field name: see [`is_special`].
    pub(crate) has_special_names: bool,
    /// The first thing that is wrong with it; such an image is never written.
    pub(crate) problem: Option<AttributeProblem>,
    /// It is no map of attributes at all, so that nothing is known of any attribute.
    pub(crate) unreadable: bool,
}

/// A top-level attribute.
#[derive(Debug, Clone)]
pub(crate) struct Attribute<'a> {
    /// Its name.
    pub(crate) name: Text<'a>,
    /// From its name to the end of its value.
    pub(crate) source: &'a str,
    /// What stands behind the type tag.
    pub(crate) content: &'a str,
    /// Its type; `None` where it cannot be read.
    pub(crate) tag: Option<Tag>,
    /// What is wrong with it, or with something inside it.
    pub(crate) problem: Option<AttributeProblemKind>,
    /// Where it was written, name and value.
    pub(crate) written: Range<usize>,
}

/// A value without members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar<'a> {
    String(Text<'a>),
    /// Checked: a number by the grammar of JSON.
    Number(Text<'a>),
    Binary(Text<'a>),
    Bool(bool),
}

/// The type tags of DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
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
}

/// What is wrong with an attribute. It names the top-level attribute, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", place_of(attribute))]
pub struct AttributeProblem {
    /// The top-level attribute; empty where the image as a whole is wrong.
    pub attribute: String,
    /// What is wrong.
    pub kind: AttributeProblemKind,
}

/// The kinds of [`AttributeProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeProblemKind {
    /// A value without a type tag.
    #[error("a value has no type tag")]
    NoTag,
    /// A type tag that DynamoDB does not have.
    #[error("a value has an unknown type tag")]
    UnknownTag,
    /// More than one type tag in one value.
    #[error("a value has several type tags")]
    SeveralTags,
    /// A value that is not what its type tag says.
    #[error("a value does not fit its type tag")]
    WrongValue,
    /// An `N` that is no decimal number.
    #[error("a number is not decimal digits")]
    NotANumber,
    /// A value of another shape than an attribute value's, or nested too deep.
    #[error("a value is not an attribute value, or is nested too deep")]
    Unreadable,
    /// The image as a whole is no map of attributes.
    #[error("the image is not a map of attributes")]
    NoImage,
}

// === impl AttributeProblem ===

fn place_of(attribute: &str) -> String {
    match attribute {
        "" => String::new(),
        name => format!("attribute {:?}: ", short_name(name)),
    }
}

/// A name for a message: names may have 64 KB, and messages are kept.
pub(crate) fn short_name(name: &str) -> String {
    const LONGEST: usize = 100;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

// === impl AttributeProblemKind ===

impl AttributeProblemKind {
    /// A word for the kind of problem.
    pub fn name(self) -> &'static str {
        match self {
            AttributeProblemKind::NoTag => "no_type_tag",
            AttributeProblemKind::UnknownTag => "unknown_type_tag",
            AttributeProblemKind::SeveralTags => "several_type_tags",
            AttributeProblemKind::WrongValue => "wrong_value",
            AttributeProblemKind::NotANumber => "not_a_number",
            AttributeProblemKind::Unreadable => "unreadable_value",
            AttributeProblemKind::NoImage => "unreadable_image",
        }
    }
}

// === impl Image ===

impl<'a> Image<'a> {
    /// Whether it has no attributes.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The names of the top-level attributes, in the order in which they came.
    pub fn attribute_names(&self) -> impl Iterator<Item = Cow<'a, str>> + '_ {
        self.attributes.iter().map(|attribute| attribute.name.decode())
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&AttributeProblem> {
        self.problem.as_ref()
    }

    /// One top-level attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name.is(name))
    }

    /// The attributes of these names alone.
    pub(crate) fn select(&self, names: &[String]) -> Image<'a> {
        let is_wanted = |attribute: &&Attribute<'_>| names.iter().any(|name| attribute.name.is(name));
        let attributes = self.attributes.iter().filter(is_wanted).cloned().collect();
        Image { attributes, written: self.written.clone(), ..Image::default() }
    }

    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Image { attributes, ..Image::default() };
    }

    /// Marks the text as not a map of attributes: nothing of it is usable.
    pub(crate) fn set_unreadable(&mut self) {
        self.clear();
        self.unreadable = true;
        self.problem = Some(AttributeProblem { attribute: String::new(), kind: AttributeProblemKind::NoImage });
    }

    /// What the value of an attribute was written as.
    pub(crate) fn written_value(&self, attribute: &Attribute<'_>) -> &[u8] {
        let member = self.written.get(attribute.written.clone()).unwrap_or_default();
        member.get(attribute.name.literal().len() + 1..).unwrap_or_default()
    }

    /// Why it is not known what an attribute holds, if it is not. What is wrong inside a list or a map does not count.
    pub(crate) fn problem_of(&self, name: &str) -> Option<AttributeProblem> {
        if self.unreadable || self.problem.is_none() {
            return self.problem.clone();
        }
        let attribute = self.get(name).filter(|attribute| attribute.tag.is_none())?;
        Some(AttributeProblem { attribute: name.to_owned(), kind: attribute.problem? })
    }
}

/// Whether an attribute of this name may be one that no route writes (`aws:rep:*`), or that OpenSearch takes for its own
/// (`_id`). An escape can be any character.
#[inline]
pub(crate) fn is_special(name: Text<'_>) -> bool {
    matches!(name.inner().as_bytes(), [b'_' | b'\\', ..] | [b'a', b'w' | b'\\', ..])
}

// === impl Attribute ===

impl<'a> Attribute<'a> {
    /// Its value, where that has no members and can be read.
    pub(crate) fn scalar(&self) -> Option<Scalar<'a>> {
        let text = Text::of_literal(self.content);
        match self.tag? {
            Tag::S => Some(Scalar::String(text)),
            Tag::N => Some(Scalar::Number(text)),
            Tag::B => Some(Scalar::Binary(text)),
            Tag::Bool => Some(Scalar::Bool(self.content == "true")),
            Tag::Null | Tag::L | Tag::M | Tag::Ss | Tag::Ns | Tag::Bs => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_in_messages() {
        let problem = AttributeProblem { attribute: "é".repeat(60_000), kind: AttributeProblemKind::NoTag };
        assert!(problem.to_string().len() < 300);
    }
}
