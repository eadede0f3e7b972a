//! Shapes values: plain JSON in, plain JSON out, by the rules of a route.

use super::{Around, Shape, begin_literal, begin_member, expand, separate};
use crate::compare::canonical_json;
use crate::decimal::milliseconds;
use crate::field::DocumentError;
use crate::json::{Cursor, Fault};
use crate::names::has_duplicates;
use crate::route::{Dots, with_dots};
use crate::text::write_json_string;

/// Why a value was not written.
enum Stop {
    Document(DocumentError),
    /// The reader wrote no JSON, which cannot be.
    NoJson,
}

impl From<Fault> for Stop {
    fn from(_: Fault) -> Stop {
        Stop::NoJson
    }
}

impl Shape {
    /// Writes `value`; whether any of it is kept. `around` is what holds inside of it, and `whose` the attribute or field
    /// that an error names: names inside of a map are content, which no message has.
    pub(super) fn write_value(
        &self,
        whose: &str,
        around: Around<'_>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, DocumentError> {
        let Ok(text) = std::str::from_utf8(value) else { return Ok(false) };
        match self.value(around, &mut Cursor::new(text), out) {
            Ok(kept) => Ok(kept),
            Err(Stop::Document(DocumentError::Collision(_))) => Err(DocumentError::Collision(whose.to_owned())),
            Err(Stop::Document(DocumentError::TooDeep(_))) => Err(DocumentError::TooDeep(whose.to_owned())),
            Err(Stop::NoJson) => Ok(false),
        }
    }

    fn value(&self, around: Around<'_>, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Stop> {
        let first = Some(cursor.peek()?);
        if !Shape::says_something(around, first) && !self.may_hold_dots(first) {
            out.extend_from_slice(cursor.skip()?.as_bytes());
            return Ok(true);
        }
        if !around.node.is_some_and(|node| node.as_json) {
            return self.shaped(around, cursor, out);
        }
        let is_shaped = around.node.is_some_and(|node| node.date || !node.members.is_empty());
        if around.all && !around.strings && !is_shaped && self.dots == Dots::Keep {
            write_as_json(cursor.skip()?.as_bytes(), out);
            return Ok(true);
        }
        let from = out.len();
        let kept = self.shaped(around, cursor, out)?;
        let shaped = out.split_off(from);
        if kept {
            write_as_json(&shaped, out);
        }
        Ok(kept)
    }

    fn shaped(&self, around: Around<'_>, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Stop> {
        match cursor.peek()? {
            b'{' => self.object(around, cursor, out),
            b'[' => self.list(around, cursor, out),
            first => {
                let scalar = cursor.skip()?;
                if around.all {
                    write_scalar(around, first, scalar, out);
                }
                // What is kept of it is inside, and it has no inside.
                Ok(around.all)
            }
        }
    }

    fn object(&self, around: Around<'_>, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Stop> {
        cursor.take(b'{')?;
        let from = out.len();
        out.push(b'{');
        let (mut first, mut dotted) = (true, false);
        while let Some(literal) = cursor.next_member(&mut first)? {
            let name = literal.decode();
            let node = around.node.and_then(|node| node.members.get(name.as_ref()));
            let kept = around.all || node.is_some_and(|node| node.keeps_something());
            if !kept || node.is_some_and(|node| node.left_out) {
                cursor.skip()?;
                continue;
            }
            let field = with_dots(name.clone(), self.dots);
            let begins = if field == name { begin_literal(literal, out) } else { begin_member(&field, out) };
            if !self.value(Around { node, ..around }.enter(), cursor, out)? {
                out.truncate(begins);
                continue;
            }
            dotted |= self.dots != Dots::Keep && name.contains('.');
        }
        out.push(b'}');
        match self.dots {
            Dots::Underscore if dotted => refuse_twice(out.get(from..).unwrap_or_default())?,
            Dots::Expand if dotted => expand::rewrite(out, from).map_err(Stop::Document)?,
            _ => {}
        }
        Ok(true)
    }

    fn list(&self, around: Around<'_>, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Stop> {
        cursor.take(b'[')?;
        out.push(b'[');
        let mut first = true;
        while cursor.next_element(&mut first)? {
            let begins = separate(out);
            if !self.shaped(around, cursor, out)? {
                out.truncate(begins);
            }
        }
        out.push(b']');
        Ok(true)
    }
}

fn write_scalar(around: Around<'_>, first: u8, scalar: &str, out: &mut Vec<u8>) {
    let is_number = matches!(first, b'-' | b'0'..=b'9');
    if is_number
        && around.node.is_some_and(|node| node.date)
        && let Some(time) = milliseconds(scalar)
    {
        return out.extend_from_slice(time.as_bytes());
    }
    if is_number && around.strings {
        out.push(b'"');
        out.extend_from_slice(scalar.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(scalar.as_bytes());
    }
}

/// A map has no order, so its JSON text uses a fixed one.
fn write_as_json(value: &[u8], out: &mut Vec<u8>) {
    let text = canonical_json(value).unwrap_or_else(|| value.to_vec());
    write_json_string(&String::from_utf8_lossy(&text), out);
}

/// Refuses an object in which a name comes twice.
fn refuse_twice(object: &[u8]) -> Result<(), Stop> {
    let text = String::from_utf8_lossy(object);
    let (mut cursor, mut first, mut names) = (Cursor::new(&text), true, Vec::new());
    cursor.take(b'{')?;
    while let Some(name) = cursor.next_member(&mut first)? {
        names.push(name);
        cursor.skip()?;
    }
    let twice = || Stop::Document(DocumentError::Collision(String::new()));
    if has_duplicates(&names, |name| *name) { Err(twice()) } else { Ok(()) }
}
