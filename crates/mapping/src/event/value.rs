//! Attribute values: DynamoDB JSON in, plain JSON out, in one pass.

use std::ops::Range;

use crate::image::{AttributeProblemKind, Tag};
use crate::json::{Cursor, Fault, is_number, plain};
use crate::names::{has_duplicates, keep_last};
use crate::text::Text;

/// Reads items, and writes the values of their attributes as plain JSON.
pub(super) struct Reader<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) out: Vec<u8>,
    /// How many objects and lists are open inside the attribute.
    depth: usize,
    /// The members so far of the maps that are open.
    members: Vec<Member<'a>>,
    /// The elements of the set that is open.
    elements: Vec<Text<'a>>,
}

/// A member of a map.
struct Member<'a> {
    name: Text<'a>,
    /// Where name and value were written.
    written: Range<usize>,
    problem: Option<AttributeProblemKind>,
}

/// A value that was read and written.
pub(super) struct Value<'a> {
    pub(super) tag: Option<Tag>,
    pub(super) content: &'a str,
    pub(super) problem: Option<AttributeProblemKind>,
}

/// Objects and lists inside an attribute; as many as serde_json reads.
const DEEPEST: usize = 127;

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { cursor: Cursor::new(text), out: Vec::new(), depth: 0, members: Vec::new(), elements: Vec::new() }
    }

    /// Reads and writes a string, number or binary value as nearly all are: without space, escapes or faults. Where it is
    /// any other, nothing is taken, and [`Reader::value`] reads it.
    #[inline(always)]
    fn plain_value(&mut self) -> Option<(Tag, &'a str)> {
        let [b'{', b'"', tag @ (b'S' | b'N' | b'B'), b'"', b':', b'"', rest @ ..] = self.cursor.rest() else {
            return None;
        };
        if self.depth >= DEEPEST {
            return None;
        }
        let length = plain(rest);
        let [b'"', b'}', ..] = rest.get(length..)? else { return None };
        let at = self.cursor.at();
        let from = at + r#"{"S":"#.len();
        self.cursor.move_to(from + length + 2);
        let content = self.cursor.since(from);
        let (tag, written) = match tag {
            b'S' => (Tag::S, content),
            b'B' => (Tag::B, content),
            _ => (Tag::N, content.get(1..=length)?),
        };
        if tag == Tag::N && !is_number(written) {
            self.cursor.move_to(at);
            return None;
        }
        self.cursor.pass(1);
        self.out.extend_from_slice(written.as_bytes());
        Some((tag, content))
    }

    /// Reads the value of an attribute. Where it is none, that is the attribute's problem, and its neighbours are read.
    #[inline(always)]
    pub(super) fn attribute_value(&mut self) -> Result<Value<'a>, Fault> {
        self.depth = 0;
        if let Some((tag, content)) = self.plain_value() {
            return Ok(Value { tag: Some(tag), content, problem: None });
        }
        let (at, written) = (self.cursor.at(), self.out.len());
        match self.value() {
            Err(Fault::Shape) => {
                self.cursor.move_to(at);
                self.out.truncate(written);
                self.members.clear();
                Ok(Value::broken(self.cursor.skip()?, AttributeProblemKind::Unreadable))
            }
            read => read,
        }
    }

    pub(super) fn value(&mut self) -> Result<Value<'a>, Fault> {
        // So it is nearly always written; the other ways are slower and say the same.
        if let [b'{', b'"', tag @ (b'S' | b'N' | b'B' | b'L' | b'M'), b'"', b':', ..] = self.cursor.rest() {
            let tag = match tag {
                b'S' => Tag::S,
                b'N' => Tag::N,
                b'B' => Tag::B,
                b'L' => Tag::L,
                _ => Tag::M,
            };
            self.depth += 1;
            self.cursor.pass(r#"{"S":"#.len());
            return self.rest_of_value(Some(tag));
        }
        self.enter(b'{')?;
        match self.next_tag(&mut true)? {
            Some(tag) => self.rest_of_value(tag),
            None => {
                self.depth -= 1;
                Ok(Value::broken(self.cursor.since(self.cursor.at()), AttributeProblemKind::NoTag))
            }
        }
    }

    /// Reads the value that goes on behind this type tag.
    fn rest_of_value(&mut self, tag: Option<Tag>) -> Result<Value<'a>, Fault> {
        if self.depth > DEEPEST {
            return Err(Fault::Shape);
        }
        let (from, written, mut first) = (self.cursor.at(), self.out.len(), false);
        let mut value = self.tagged(tag)?;
        let mut several = false;
        while let Some(other) = self.next_tag(&mut first)? {
            if other == tag {
                // The same tag again: the last one counts.
                self.out.truncate(written);
                value = self.tagged(tag)?;
            } else {
                several = true;
                self.cursor.skip()?;
            }
        }
        self.depth -= 1;
        if several {
            return Ok(Value::broken(self.cursor.since(from), AttributeProblemKind::SeveralTags));
        }
        Ok(value)
    }

    /// The next type tag; inside, `None` where DynamoDB has no such tag.
    #[inline]
    fn next_tag(&mut self, first: &mut bool) -> Result<Option<Option<Tag>>, Fault> {
        let Some(name) = self.cursor.next_member(first)? else { return Ok(None) };
        let name = name.whole().ok_or(Fault::Shape)?;
        Ok(Some(Tag::parse(name.inner()).or_else(|| Tag::parse(&name.decode()))))
    }

    /// Reads and writes what stands behind a type tag.
    fn tagged(&mut self, tag: Option<Tag>) -> Result<Value<'a>, Fault> {
        self.cursor.peek()?;
        let from = self.cursor.at();
        let problem = match tag {
            Some(Tag::S | Tag::B) => match self.text()? {
                Some(text) => {
                    self.out.extend_from_slice(text.literal().as_bytes());
                    None
                }
                None => Some(AttributeProblemKind::WrongValue),
            },
            Some(Tag::N) => match self.text()? {
                Some(digits) => self.write_number(digits),
                None => Some(AttributeProblemKind::WrongValue),
            },
            Some(Tag::Bool) => match self.cursor.skip()? {
                word @ ("true" | "false") => {
                    self.out.extend_from_slice(word.as_bytes());
                    None
                }
                _ => Some(AttributeProblemKind::WrongValue),
            },
            Some(Tag::Null) => {
                self.cursor.skip()?;
                self.out.extend_from_slice(b"null");
                None
            }
            Some(Tag::L) => self.list()?,
            Some(Tag::M) => self.map()?,
            Some(set @ (Tag::Ss | Tag::Ns | Tag::Bs)) => self.set(set)?,
            None => {
                self.cursor.skip()?;
                return Ok(Value::broken(self.cursor.since(from), AttributeProblemKind::UnknownTag));
            }
        };
        let is_scalar = matches!(tag, Some(Tag::S | Tag::N | Tag::B | Tag::Bool));
        let tag = tag.filter(|_| !is_scalar || problem.is_none());
        Ok(Value { tag, content: self.cursor.since(from), problem })
    }

    /// A string that holds a text; any other value is taken, and gives none.
    #[inline]
    fn text(&mut self) -> Result<Option<Text<'a>>, Fault> {
        if self.cursor.peek()? == b'"' {
            return Ok(self.cursor.literal()?.whole());
        }
        self.cursor.skip()?;
        Ok(None)
    }

    fn list(&mut self) -> Result<Option<AttributeProblemKind>, Fault> {
        self.enter(b'[')?;
        self.out.push(b'[');
        let (mut first, mut problem) = (true, None);
        while self.cursor.next_element(&mut first)? {
            self.separate(b'[');
            if self.plain_value().is_none() {
                problem = problem.or(self.value()?.problem);
            }
        }
        self.out.push(b']');
        self.depth -= 1;
        Ok(problem)
    }

    fn map(&mut self) -> Result<Option<AttributeProblemKind>, Fault> {
        self.enter(b'{')?;
        let (written, earlier) = (self.out.len(), self.members.len());
        self.out.push(b'{');
        let mut first = true;
        while let Some(name) = self.cursor.next_member(&mut first)? {
            let name = name.whole().ok_or(Fault::Shape)?;
            self.separate(b'{');
            let from = self.out.len();
            self.write_name(name);
            let problem = if self.plain_value().is_some() { None } else { self.value()?.problem };
            self.members.push(Member { name, written: from..self.out.len(), problem });
        }
        self.out.push(b'}');
        self.depth -= 1;
        let members = self.members.get(earlier..).unwrap_or_default();
        if has_duplicates(members, |member| member.name) {
            self.write_last_members(written, earlier);
        }
        let members = self.members.get(earlier..).unwrap_or_default();
        let problem = members.iter().find_map(|member| member.problem);
        self.members.truncate(earlier);
        Ok(problem)
    }

    /// Writes the map at `written` again, of each name its last member alone.
    #[cold]
    fn write_last_members(&mut self, written: usize, earlier: usize) {
        let mut members = self.members.split_off(earlier);
        keep_last(&mut members, |member| member.name);
        let before = self.out.split_off(written);
        self.out.push(b'{');
        for (place, member) in members.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            let text = before.get(member.written.start - written..member.written.end - written);
            self.out.extend_from_slice(text.unwrap_or_default());
        }
        self.out.push(b'}');
        self.members.extend(members);
    }

    /// A set has no order, so its elements are written in ascending byte order of their text.
    fn set(&mut self, tag: Tag) -> Result<Option<AttributeProblemKind>, Fault> {
        self.enter(b'[')?;
        self.elements.clear();
        let (mut first, mut problem) = (true, None);
        while self.cursor.next_element(&mut first)? {
            match self.text()? {
                Some(text) => self.elements.push(text),
                None => problem = problem.or(Some(AttributeProblemKind::WrongValue)),
            }
        }
        self.depth -= 1;
        let mut elements = std::mem::take(&mut self.elements);
        if !elements.is_sorted() {
            elements.sort();
        }
        self.out.push(b'[');
        for element in &elements {
            self.separate(b'[');
            if tag == Tag::Ns {
                problem = problem.or(self.write_number(*element));
            } else {
                self.out.extend_from_slice(element.literal().as_bytes());
            }
        }
        self.out.push(b']');
        self.elements = elements;
        Ok(problem)
    }

    /// Writes a number as it came, escapes resolved.
    fn write_number(&mut self, digits: Text<'_>) -> Option<AttributeProblemKind> {
        let digits = digits.decode();
        if !is_number(&digits) {
            return Some(AttributeProblemKind::NotANumber);
        }
        self.out.extend_from_slice(digits.as_bytes());
        None
    }

    #[inline(always)]
    pub(super) fn write_name(&mut self, name: Text<'_>) {
        self.out.extend_from_slice(name.literal().as_bytes());
        self.out.push(b':');
    }

    /// Writes a comma, unless the container that was opened with this bracket begins here.
    fn separate(&mut self, bracket: u8) {
        if self.out.last() != Some(&bracket) {
            self.out.push(b',');
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<(), Fault> {
        self.cursor.open(bracket)?;
        self.depth += 1;
        if self.depth > DEEPEST { Err(Fault::Shape) } else { Ok(()) }
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    fn broken(content: &'a str, problem: AttributeProblemKind) -> Value<'a> {
        Value { tag: None, content, problem: Some(problem) }
    }
}

// === impl Tag ===

impl Tag {
    #[inline]
    fn parse(text: &str) -> Option<Tag> {
        Some(match text {
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
            _ => return None,
        })
    }
}
