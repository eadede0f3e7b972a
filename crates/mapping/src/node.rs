//! The nodes that an [`Image`](crate::image::Image) is made of.

use crate::text::{Binary, Text};

/// One node. A container is followed by its content; the number says by how many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    /// The name of the member of a map whose value follows.
    Name(Text<'a>),
    String(Text<'a>),
    /// A JSON number, checked. Only its escapes, if it has any, are still to be resolved.
    Number(Text<'a>),
    Binary(Binary<'a>),
    Bool(bool),
    Null,
    List(usize),
    Map(usize),
    StringSet(usize),
    NumberSet(usize),
    BinarySet(usize),
    /// A value that cannot be read. It makes the image's problem.
    Broken(AttributeProblemKind),
}

/// The container types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `L`
    List,
    /// `M`; each member is [`ImageBuilder::member`](crate::ImageBuilder::member) and a value.
    Map,
    /// `SS`
    StringSet,
    /// `NS`
    NumberSet,
    /// `BS`
    BinarySet,
}

/// The kinds of [`AttributeProblem`](crate::AttributeProblem).
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
    #[error("a value is no attribute value, or is nested too deep")]
    Unreadable,
    /// The image as a whole is no map of attributes.
    #[error("the image is no map of attributes")]
    NoImage,
}

/// Iterates over name and value of a run of members.
#[derive(Debug, Clone)]
pub(crate) struct Members<'n, 'a> {
    pub(crate) rest: &'n [Node<'a>],
}

impl<'n, 'a> Iterator for Members<'n, 'a> {
    type Item = (Text<'a>, &'n [Node<'a>]);

    fn next(&mut self) -> Option<Self::Item> {
        let (Node::Name(name), after) = self.rest.split_first()? else {
            return None;
        };
        let (value, rest) = split_value(after)?;
        self.rest = rest;
        Some((*name, value))
    }
}

/// Iterates over the values of a run of values.
#[derive(Debug, Clone)]
pub(crate) struct Values<'n, 'a> {
    pub(crate) rest: &'n [Node<'a>],
}

impl<'n, 'a> Iterator for Values<'n, 'a> {
    type Item = &'n [Node<'a>];

    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = split_value(self.rest)?;
        self.rest = rest;
        Some(value)
    }
}

/// What is wrong with a value, if anything.
pub(crate) fn broken(value: &[Node<'_>]) -> Option<AttributeProblemKind> {
    value.iter().find_map(|node| match node {
        Node::Broken(kind) => Some(*kind),
        _ => None,
    })
}

/// Splits the first value (with all that is in it) off `nodes`.
fn split_value<'n, 'a>(nodes: &'n [Node<'a>]) -> Option<(&'n [Node<'a>], &'n [Node<'a>])> {
    let first = nodes.first()?;
    nodes.split_at_checked(1 + first.content_length())
}

// === impl Node ===

impl<'a> Node<'a> {
    pub(crate) fn container(container: Container, length: usize) -> Node<'a> {
        match container {
            Container::List => Node::List(length),
            Container::Map => Node::Map(length),
            Container::StringSet => Node::StringSet(length),
            Container::NumberSet => Node::NumberSet(length),
            Container::BinarySet => Node::BinarySet(length),
        }
    }

    pub(crate) fn content_length(&self) -> usize {
        match self {
            Node::List(length)
            | Node::Map(length)
            | Node::StringSet(length)
            | Node::NumberSet(length)
            | Node::BinarySet(length) => *length,
            _ => 0,
        }
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
