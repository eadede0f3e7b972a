//! One item as a flat run of nodes, borrowed from where it was read.
//!
//! Both ways in end here: raw JSON ([`crate::event`]) and SDK values (through [`ImageBuilder`]), so that
//! everything after it, documents, ids and conditions, is written once.

pub use crate::problem::{AttributeProblem, AttributeProblemKind};
use crate::text::{Binary, Text};

/// An item, or the key of one: its top-level attributes in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Image<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    /// The first thing that is wrong with it; such an image is never written.
    pub(crate) problem: Option<AttributeProblem>,
    /// It is no map of attributes at all, so that nothing is known of any attribute.
    pub(crate) unreadable: bool,
}

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

/// Builds an [`Image`] from values that are decoded already: `attribute`, then one value, and so on.
///
/// ```
/// use streamdex_mapping::image::{Container, ImageBuilder};
/// let mut builder = ImageBuilder::default();
/// builder.attribute("tags");
/// let list = builder.open(Container::List);
/// builder.string("a");
/// builder.number("1.50");
/// builder.close(list);
/// let image = builder.finish();
/// assert_eq!(image.attribute_names().collect::<Vec<_>>(), ["tags"]);
/// ```
#[derive(Debug, Default)]
pub struct ImageBuilder<'a> {
    image: Image<'a>,
    /// The top-level attribute whose value is being added.
    attribute: &'a str,
}

/// The container types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `L`
    List,
    /// `M`; each member is [`ImageBuilder::member`] and a value.
    Map,
    /// `SS`
    StringSet,
    /// `NS`
    NumberSet,
    /// `BS`
    BinarySet,
}

/// A container that is still open; give it back to [`ImageBuilder::close`].
#[derive(Debug)]
#[must_use]
pub struct OpenContainer {
    at: usize,
    container: Container,
}

// === impl Image ===

impl<'a> Image<'a> {
    /// Whether it has no attributes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The names of the top-level attributes, in the order in which they came.
    pub fn attribute_names(&self) -> impl Iterator<Item = std::borrow::Cow<'a, str>> + '_ {
        self.attributes().map(|(name, _)| name.decode())
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&AttributeProblem> {
        self.problem.as_ref()
    }

    /// The top-level attributes: name, and the nodes of the value.
    pub(crate) fn attributes(&self) -> Members<'_, 'a> {
        Members { rest: &self.nodes }
    }

    /// The value of one top-level attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&[Node<'a>]> {
        self.attributes().find(|(found, _)| found.is(name)).map(|(_, value)| value)
    }

    /// The attributes of these names alone.
    pub(crate) fn select(&self, names: &[String]) -> Image<'a> {
        let mut selected = Image::default();
        for (name, value) in self.attributes().filter(|(name, _)| names.iter().any(|wanted| name.is(wanted))) {
            selected.nodes.push(Node::Name(name));
            selected.nodes.extend_from_slice(value);
        }
        selected
    }

    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.problem = None;
        self.unreadable = false;
    }

    /// Puts a mark where a value cannot be read, and remembers the first problem, under the top-level attribute that is
    /// being read.
    pub(crate) fn push_broken(&mut self, attribute: Text<'_>, kind: AttributeProblemKind) {
        self.nodes.push(Node::Broken(kind));
        self.problem.get_or_insert_with(|| AttributeProblem { attribute: attribute.decode().into_owned(), kind });
    }

    /// Takes the text for no map of attributes: nothing of it is known.
    pub(crate) fn set_unreadable(&mut self) {
        self.clear();
        self.unreadable = true;
        self.problem = Some(AttributeProblem { attribute: String::new(), kind: AttributeProblemKind::NoImage });
    }

    /// Finds the first problem again, after values were taken out.
    pub(crate) fn look_for_problems(&mut self) {
        let problem = self.attributes().find_map(|(name, value)| {
            let kind = broken(value)?;
            Some(AttributeProblem { attribute: name.decode().into_owned(), kind })
        });
        self.problem = problem;
    }

    /// Why it is not known what an attribute holds, if it is not. What is wrong inside a list or a map does not count.
    pub(crate) fn problem_of(&self, name: &str) -> Option<AttributeProblem> {
        if self.unreadable || self.problem.is_none() {
            return self.problem.clone();
        }
        match self.get(name)? {
            [Node::Broken(kind)] => Some(AttributeProblem { attribute: name.to_owned(), kind: *kind }),
            _ => None,
        }
    }

    /// Sets the length of the container that was pushed at `at`, whose content ends here.
    pub(crate) fn seal(&mut self, at: usize, container: Container) {
        let length = self.nodes.len().saturating_sub(at + 1);
        if let Some(node) = self.nodes.get_mut(at) {
            *node = Node::container(container, length);
        }
    }
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
fn broken(value: &[Node<'_>]) -> Option<AttributeProblemKind> {
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
    fn container(container: Container, length: usize) -> Node<'a> {
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

// === impl ImageBuilder ===

impl<'a> ImageBuilder<'a> {
    /// Begins the next top-level attribute; exactly one value follows. No name comes twice.
    pub fn attribute(&mut self, name: &'a str) {
        self.attribute = name;
        self.member(name);
    }

    /// Begins the next member of the open map; exactly one value follows. No name comes twice.
    pub fn member(&mut self, name: &'a str) {
        self.image.nodes.push(Node::Name(Text::Plain(name)));
    }

    /// `S`
    pub fn string(&mut self, text: &'a str) {
        self.image.nodes.push(Node::String(Text::Plain(text)));
    }

    /// `N`; a text that is no decimal number becomes the image's problem.
    pub fn number(&mut self, text: &'a str) {
        if is_json_number(text) {
            self.image.nodes.push(Node::Number(Text::Plain(text)));
        } else {
            self.broken(AttributeProblemKind::NotANumber);
        }
    }

    /// `B`
    pub fn binary(&mut self, bytes: &'a [u8]) {
        self.image.nodes.push(Node::Binary(Binary::Bytes(bytes)));
    }

    /// `BOOL`
    pub fn bool(&mut self, value: bool) {
        self.image.nodes.push(Node::Bool(value));
    }

    /// `NULL`
    pub fn null(&mut self) {
        self.image.nodes.push(Node::Null);
    }

    /// A value of a type that this version does not know: it becomes the image's problem.
    pub fn unknown(&mut self) {
        self.broken(AttributeProblemKind::UnknownTag);
    }

    /// Opens a container; its content follows until [`ImageBuilder::close`].
    pub fn open(&mut self, container: Container) -> OpenContainer {
        let at = self.image.nodes.len();
        self.image.nodes.push(Node::container(container, 0));
        OpenContainer { at, container }
    }

    /// Closes the container that was opened last.
    pub fn close(&mut self, open: OpenContainer) {
        self.image.seal(open.at, open.container);
    }

    /// The image.
    pub fn finish(self) -> Image<'a> {
        self.image
    }

    /// Names inside maps are content: the problem names the top-level attribute alone.
    fn broken(&mut self, kind: AttributeProblemKind) {
        self.image.push_broken(Text::Plain(self.attribute), kind);
    }
}

/// Whether `text` is a number by the grammar of JSON (RFC 8259), which is what DynamoDB delivers.
pub(crate) fn is_json_number(text: &str) -> bool {
    let mut rest = text.as_bytes();
    if let [b'-', after @ ..] = rest {
        rest = after;
    }
    match rest {
        [b'0', after @ ..] => rest = after,
        [b'1'..=b'9', ..] => rest = skip_digits(rest),
        _ => return false,
    }
    if let [b'.', after @ ..] = rest {
        rest = skip_digits(after);
        if rest.len() == after.len() {
            return false;
        }
    }
    if let [b'e' | b'E', after @ ..] = rest {
        let digits = match after {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        rest = skip_digits(digits);
        if rest.len() == digits.len() {
            return false;
        }
    }
    rest.is_empty()
}

fn skip_digits(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_grammar_of_json() {
        for good in ["0", "-0", "12", "1.50", "1E+125", "9.99e-130", "-1.0E5", &"9".repeat(38)] {
            assert!(is_json_number(good), "{good}");
        }
        for bad in ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", "NaN", "Infinity", "0x1", "1 ", " 1", "1,2"] {
            assert!(!is_json_number(bad), "{bad}");
        }
    }

    #[test]
    fn containers_know_their_length() {
        let mut builder = ImageBuilder::default();
        builder.attribute("m");
        let map = builder.open(Container::Map);
        builder.member("l");
        let list = builder.open(Container::List);
        builder.null();
        builder.bool(true);
        builder.close(list);
        builder.close(map);
        builder.attribute("s");
        builder.string("x");
        let image = builder.finish();
        assert_eq!(image.get("m").unwrap().len(), 5);
        assert_eq!(image.get("s").unwrap(), [Node::String(Text::Plain("x"))]);
        assert!(image.get("l").is_none());
    }

    #[test]
    fn the_first_problem_names_the_attribute() {
        let mut builder = ImageBuilder::default();
        builder.attribute("a");
        builder.number("1x");
        builder.attribute("b");
        builder.unknown();
        let problem = builder.finish().problem.unwrap();
        assert_eq!((problem.attribute.as_str(), problem.kind), ("a", AttributeProblemKind::NotANumber));
    }

    #[test]
    fn a_problem_inside_a_map_names_the_top_level_attribute_alone() {
        let mut builder = ImageBuilder::default();
        builder.attribute("perms");
        let map = builder.open(Container::Map);
        builder.member("NAME ssn 123-45-6789");
        builder.number("1x");
        builder.close(map);
        let problem = builder.finish().problem.unwrap();
        assert_eq!(problem.to_string(), "attribute \"perms\": a number is not decimal digits");
    }
}
