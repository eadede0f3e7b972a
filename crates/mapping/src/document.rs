//! Items to documents: attribute by attribute into one JSON object.

use std::borrow::Cow;

use crate::image::Image;
use crate::node::{Members, Node, Values};
use crate::project::{Projected, project};
use crate::route::{NumberForm, Route};
use crate::text::{Text, write_json_string};

/// Why an item gives no document. It names the field, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A field name that means something else to OpenSearch, as `_id`.
    #[error("field {0:?} is a reserved name: rename or exclude the attribute in the route")]
    ReservedName(String),
    /// Two attributes would be written to one field.
    #[error("two attributes are written to field {0:?}: rename or exclude one of them in the route")]
    Collision(String),
}

/// The time at which an archived item expired, as a field of its archive copy.
pub const EXPIRED_AT: &str = "expired_at";

/// Root names that are metadata on one of the supported lines of OpenSearch; refused there, or taken as
/// plain fields with another meaning.
const RESERVED: [&str; 18] = [
    "_all",
    "_data_stream_timestamp",
    "_doc_count",
    "_field_names",
    "_id",
    "_ignored",
    "_index",
    "_meta",
    "_nested_path",
    "_parent",
    "_primary_term",
    "_routing",
    "_seq_no",
    "_size",
    "_source",
    "_type",
    "_uid",
    "_version",
];

/// Whether a root field of this name would be metadata to OpenSearch; the configuration refuses to rename to it.
pub fn is_reserved_field(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Writes the document of `image` under `route`.
///
/// The text is one JSON object without a line break: attribute order as it came, numbers verbatim.
pub(crate) fn document(route: &Route, image: &Image<'_>) -> Result<Vec<u8>, DocumentError> {
    let mut out = Vec::with_capacity(capacity(image));
    write_members(route, image, &mut out)?;
    out.push(b'}');
    Ok(out)
}

/// The archive copy: the document and the second at which it expired.
pub(crate) fn archive_document(route: &Route, image: &Image<'_>, seconds: u32) -> Result<Vec<u8>, DocumentError> {
    if image.attributes().any(|(name, _)| route.field_of(&name.decode()) == Some(EXPIRED_AT)) {
        return Err(DocumentError::Collision(EXPIRED_AT.to_owned()));
    }
    let mut out = Vec::with_capacity(capacity(image));
    write_members(route, image, &mut out)?;
    let separator = if out.len() > 1 { "," } else { "" };
    out.extend_from_slice(format!("{separator}\"{EXPIRED_AT}\":{seconds}}}").as_bytes());
    Ok(out)
}

/// Most values are short: a guess that saves growing the buffer for nearly every item.
fn capacity(image: &Image<'_>) -> usize {
    64 + image.nodes.len() * 24
}

fn write_members(route: &Route, image: &Image<'_>, out: &mut Vec<u8>) -> Result<(), DocumentError> {
    refuse_collisions(route, image)?;
    out.push(b'{');
    for (name, value) in image.attributes() {
        let projected = project(route, name);
        if projected == Projected::LeftOut {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        match projected {
            Projected::Renamed(field) => {
                refuse_reserved(Text::Plain(field))?;
                write_json_string(field, out);
            }
            _ => {
                refuse_reserved(name)?;
                name.write_json(out);
            }
        }
        out.push(b':');
        write_value(value, route.numbers, out);
    }
    Ok(())
}

fn refuse_reserved(field: Text<'_>) -> Result<(), DocumentError> {
    if !matches!(field.inner().as_bytes().first(), Some(b'_' | b'\\')) {
        return Ok(());
    }
    let field = field.decode();
    if is_reserved_field(&field) {
        return Err(DocumentError::ReservedName(field.into_owned()));
    }
    Ok(())
}

/// Only `rename` can send two attributes to one field.
fn refuse_collisions(route: &Route, image: &Image<'_>) -> Result<(), DocumentError> {
    for (from, to) in &route.rename {
        let taken = from != to && route.field_of(to) == Some(to) && image.get(to).is_some();
        if taken && image.get(from).is_some() && route.field_of(from).is_some() {
            return Err(DocumentError::Collision(to.clone()));
        }
    }
    Ok(())
}

fn write_value(nodes: &[Node<'_>], numbers: NumberForm, out: &mut Vec<u8>) {
    let Some((first, content)) = nodes.split_first() else {
        return;
    };
    match first {
        Node::Name(_) | Node::Null | Node::Broken(_) => out.extend_from_slice(b"null"),
        Node::Bool(true) => out.extend_from_slice(b"true"),
        Node::Bool(false) => out.extend_from_slice(b"false"),
        Node::String(text) => text.write_json(out),
        Node::Binary(binary) => binary.write_json(out),
        Node::Number(digits) => write_number(&digits.decode(), numbers, out),
        Node::List(_) => {
            out.push(b'[');
            for (position, value) in (Values { rest: content }).enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_value(value, numbers, out);
            }
            out.push(b']');
        }
        Node::Map(_) => {
            out.push(b'{');
            for (position, (name, value)) in (Members { rest: content }).enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                name.write_json(out);
                out.push(b':');
                write_value(value, numbers, out);
            }
            out.push(b'}');
        }
        Node::StringSet(_) | Node::NumberSet(_) | Node::BinarySet(_) => write_set(content, numbers, out),
    }
}

/// A set has no order, so its elements are written in ascending byte order of their text.
fn write_set(content: &[Node<'_>], numbers: NumberForm, out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, value) in sorted(content).into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_value(std::slice::from_ref(value), numbers, out);
    }
    out.push(b']');
}

/// The elements of a set in ascending byte order of their text.
pub(crate) fn sorted<'n, 'a>(content: &'n [Node<'a>]) -> Vec<&'n Node<'a>> {
    let mut elements: Vec<_> = content.iter().map(|node| (element_text(node), node)).collect();
    elements.sort_by(|left, right| left.0.cmp(&right.0));
    elements.into_iter().map(|(_, node)| node).collect()
}

fn element_text<'n>(node: &'n Node<'_>) -> Cow<'n, str> {
    match node {
        Node::String(text) => text.decode(),
        Node::Number(digits) => digits.decode(),
        Node::Binary(binary) => binary.base64(),
        _ => Cow::Borrowed(""),
    }
}

fn write_number(digits: &str, numbers: NumberForm, out: &mut Vec<u8>) {
    match numbers {
        NumberForm::Exact => out.extend_from_slice(digits.as_bytes()),
        NumberForm::String => {
            out.push(b'"');
            out.extend_from_slice(digits.as_bytes());
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::event::read_item;
    use crate::operation::IndexName;

    fn route() -> Route {
        Route::to(IndexName::parse("i").unwrap())
    }

    fn render(route: &Route, item: &str) -> Result<String, DocumentError> {
        let raw: &RawValue = serde_json::from_str(item).unwrap();
        document(route, &read_item(raw).unwrap()).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn every_type_is_written() {
        let item = r#"{"s":{"S":"a\u00e9\"\n"},"n":{"N":"12345678901234567890123456789012345678"},"e":{"N":"1E+125"},
            "t":{"BOOL":true},"f":{"BOOL":false},"0":{"NULL":true},"l":{"L":[{"N":"1"},{"S":"x"},{"L":[]}]},
            "m":{"M":{"k":{"M":{}}}},"ss":{"SS":["b","a","B"]},"ns":{"NS":["10","9","-1"]},"b":{"B":"AP8="},"bs":{"BS":["Zg==","AA=="]}}"#;
        let expected = r#"{"s":"a\u00e9\"\n","n":12345678901234567890123456789012345678,"e":1E+125,"t":true,"f":false,"0":null,"l":[1,"x",[]],"m":{"k":{}},"ss":["B","a","b"],"ns":[-1,10,9],"b":"AP8=","bs":["AA==","Zg=="]}"#;
        assert_eq!(render(&route(), item).unwrap(), expected);
    }

    #[test]
    fn include_exclude_rename_and_number_form() {
        let item = r#"{"a":{"N":"1.0"},"b":{"S":"x"},"c":{"L":[{"N":"2"}]},"aws:rep:deleting":{"BOOL":false}}"#;
        let rename = |from: &str, to: &str| [(from.to_owned(), to.to_owned())].into();
        for (changed, expected) in [
            (Route { include: vec!["a".into(), "b".into()], ..route() }, r#"{"a":1.0,"b":"x"}"#),
            (Route { exclude: vec!["a".into()], ..route() }, r#"{"b":"x","c":[2]}"#),
            (
                Route { rename: rename("a", "z"), numbers: NumberForm::String, ..route() },
                r#"{"z":"1.0","b":"x","c":["2"]}"#,
            ),
            (Route { rename: rename("a", "b"), exclude: vec!["b".into()], ..route() }, r#"{"b":1.0,"c":[2]}"#),
        ] {
            assert_eq!(render(&changed, item).unwrap(), expected);
        }
        let colliding = Route { rename: rename("a", "b"), ..route() };
        assert_eq!(render(&colliding, item), Err(DocumentError::Collision("b".into())));
    }

    #[test]
    fn reserved_names_are_refused_at_the_root_alone() {
        assert_eq!(render(&route(), r#"{"_id":{"S":"x"}}"#), Err(DocumentError::ReservedName("_id".into())));
        assert!(render(&route(), r#"{"m":{"M":{"_id":{"S":"x"}}},"_own":{"S":"x"}}"#).is_ok());
        let renamed = Route { rename: [("_id".to_owned(), "old_id".to_owned())].into(), ..route() };
        assert_eq!(render(&renamed, r#"{"_id":{"S":"x"}}"#).unwrap(), r#"{"old_id":"x"}"#);
    }

    #[test]
    fn an_archive_copy_says_when_it_expired() {
        let raw: &RawValue = serde_json::from_str(r#"{"a":{"S":"x"}}"#).unwrap();
        let image = read_item(raw).unwrap();
        assert_eq!(archive_document(&route(), &image, 17).unwrap(), br#"{"a":"x","expired_at":17}"#);
        assert_eq!(archive_document(&route(), &Image::default(), 17).unwrap(), br#"{"expired_at":17}"#);
        let renamed = Route { rename: [("a".to_owned(), EXPIRED_AT.to_owned())].into(), ..route() };
        assert!(archive_document(&renamed, &image, 17).is_err());
    }
}
