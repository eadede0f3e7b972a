//! Fields that are made of other values.

use std::borrow::Cow;

use super::{Around, Shape, separate};
use crate::field::DocumentError;
use crate::image::{Attribute, Image};
use crate::json::{Cursor, Fault, is_number};
use crate::path::Path;
use crate::route::{Constant, FieldValue, NumberForm};
use crate::text::{Text, write_json_string};

impl Shape {
    /// Writes the value of a field that the route makes; whether there is one. `used` are the attributes that fields are
    /// made of.
    pub(super) fn write_set(
        &self,
        (field, value): (&str, &FieldValue),
        image: &Image<'_>,
        used: &[&Attribute<'_>],
        out: &mut Vec<u8>,
    ) -> Result<bool, DocumentError> {
        let find = |path| find(image, used, path);
        match value {
            FieldValue::From(path) => {
                let Some(found) = find(path) else { return Ok(false) };
                let strings = self.numbers == NumberForm::String;
                self.write_value(
                    field,
                    Around { node: self.copied.get(field), all: true, strings },
                    found.as_bytes(),
                    out,
                )
            }
            FieldValue::After { from, mark } => {
                let found = find(from);
                let text = found.as_deref().and_then(string);
                let behind = text.as_deref().and_then(|text| text.split_once(mark.as_str()));
                if let Some((_, rest)) = behind {
                    write_json_string(rest, out);
                }
                Ok(behind.is_some())
            }
            FieldValue::Constant(constant) => {
                write_constant(constant, out);
                Ok(true)
            }
            FieldValue::Point { lat, lon } => {
                let (lat, lon) = (find(lat), find(lon));
                let (lat, lon) = (lat.as_deref().and_then(digits), lon.as_deref().and_then(digits));
                let (Some(lat), Some(lon)) = (lat, lon) else { return Ok(false) };
                out.extend_from_slice([r#"{"lat":"#, &lat, r#","lon":"#, &lon, "}"].concat().as_bytes());
                Ok(true)
            }
        }
    }
}

fn write_constant(constant: &Constant, out: &mut Vec<u8>) {
    match constant {
        Constant::String(text) => write_json_string(text, out),
        Constant::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        Constant::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

/// The value at `path`, as JSON; through lists, a list of values.
fn find<'i>(image: &'i Image<'_>, used: &[&Attribute<'_>], path: &Path) -> Option<Cow<'i, str>> {
    let (name, inside) = path.names().split_first()?;
    let attribute = used.iter().find(|attribute| attribute.name.is(name))?;
    let value = std::str::from_utf8(image.written_value(attribute)).ok()?;
    inner(value, inside).ok().flatten()
}

fn inner<'v>(value: &'v str, names: &[String]) -> Result<Option<Cow<'v, str>>, Fault> {
    let Some((name, inside)) = names.split_first() else { return Ok(Some(Cow::Borrowed(value))) };
    let (mut cursor, mut first) = (Cursor::new(value), true);
    match cursor.peek()? {
        b'{' => {
            cursor.take(b'{')?;
            while let Some(member) = cursor.next_member(&mut first)? {
                let value = cursor.skip()?;
                if member.is(name) {
                    return inner(value, inside);
                }
            }
            Ok(None)
        }
        b'[' => {
            cursor.take(b'[')?;
            let mut list = b"[".to_vec();
            while cursor.next_element(&mut first)? {
                if let Some(found) = inner(cursor.skip()?, names)? {
                    separate(&mut list);
                    list.extend_from_slice(found.as_bytes());
                }
            }
            list.push(b']');
            let is_empty = list.len() == 2;
            Ok(String::from_utf8(list).ok().filter(|_| !is_empty).map(Cow::Owned))
        }
        _ => Ok(None),
    }
}

/// The text of a JSON string.
fn string(value: &str) -> Option<Cow<'_, str>> {
    value.starts_with('"').then(|| Text::of_literal(value).decode())
}

/// The digits of a number, or of a string that is one.
fn digits(value: &str) -> Option<Cow<'_, str>> {
    let text = string(value).unwrap_or(Cow::Borrowed(value));
    is_number(&text).then_some(text)
}
