//! Items to documents: one JSON object of the attributes that a route keeps.

use bytes::Bytes;

use crate::event::item::write_value;
use crate::image::{Attribute, Image};
use crate::project::{Projected, is_plain, project};
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

/// The document of `image` under `route`.
///
/// The text is one JSON object without a line break: attribute order as it came, numbers verbatim. Where the route says
/// nothing of fields, that is how the image was written when it was read.
pub(crate) fn document(route: &Route, image: &Image<'_>) -> Result<Bytes, DocumentError> {
    if let Some(whole) = image.whole.clone().filter(|_| route.numbers == NumberForm::Exact)
        && is_written_whole(route, image)?
    {
        return Ok(image.written.slice(whole));
    }
    let mut out = Vec::with_capacity(image.written.len());
    write_members(route, image, &mut out)?;
    out.push(b'}');
    Ok(out.into())
}

/// The archive copy: the document and the second at which it expired.
pub(crate) fn archive_document(route: &Route, image: &Image<'_>, seconds: u32) -> Result<Bytes, DocumentError> {
    if image.attributes.iter().any(|attribute| route.field_of(&attribute.name.decode()) == Some(EXPIRED_AT)) {
        return Err(DocumentError::Collision(EXPIRED_AT.to_owned()));
    }
    let mut out = Vec::with_capacity(image.written.len() + 32);
    write_members(route, image, &mut out)?;
    let separator = if out.len() > 1 { "," } else { "" };
    out.extend_from_slice(format!("{separator}\"{EXPIRED_AT}\":{seconds}}}").as_bytes());
    Ok(out.into())
}

/// Whether every attribute goes to the field of its own name.
fn is_written_whole(route: &Route, image: &Image<'_>) -> Result<bool, DocumentError> {
    if is_plain(route) && !image.has_special_names {
        return Ok(true);
    }
    for Attribute { name, .. } in &image.attributes {
        if project(route, *name) != Projected::Same {
            return Ok(false);
        }
        refuse_reserved(*name)?;
    }
    Ok(true)
}

fn write_members(route: &Route, image: &Image<'_>, out: &mut Vec<u8>) -> Result<(), DocumentError> {
    refuse_collisions(route, image)?;
    out.push(b'{');
    for attribute in &image.attributes {
        let projected = project(route, attribute.name);
        if projected == Projected::LeftOut {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        match projected {
            Projected::Renamed(field) => {
                refuse_reserved_field(field)?;
                write_json_string(field, out);
            }
            _ => {
                refuse_reserved(attribute.name)?;
                out.extend_from_slice(attribute.name.literal().as_bytes());
            }
        }
        out.push(b':');
        match route.numbers {
            NumberForm::Exact => out.extend_from_slice(image.written_value(attribute)),
            NumberForm::String => write_value(attribute, route.numbers, out),
        }
    }
    Ok(())
}

fn refuse_reserved(name: Text<'_>) -> Result<(), DocumentError> {
    if !matches!(name.inner().as_bytes().first(), Some(b'_' | b'\\')) {
        return Ok(());
    }
    refuse_reserved_field(&name.decode())
}

fn refuse_reserved_field(field: &str) -> Result<(), DocumentError> {
    if is_reserved_field(field) { Err(DocumentError::ReservedName(field.to_owned())) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read_item;
    use crate::operation::IndexName;

    fn route() -> Route {
        Route::to(IndexName::parse("i").unwrap())
    }

    fn render(route: &Route, item: &str) -> Result<String, DocumentError> {
        document(route, &read_item(item).unwrap()).map(|text| String::from_utf8(text.into()).unwrap())
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
        let image = read_item(r#"{"a":{"S":"x"}}"#).unwrap();
        assert_eq!(archive_document(&route(), &image, 17).unwrap(), r#"{"a":"x","expired_at":17}"#);
        assert_eq!(archive_document(&route(), &Image::default(), 17).unwrap(), r#"{"expired_at":17}"#);
        let renamed = Route { rename: [("a".to_owned(), EXPIRED_AT.to_owned())].into(), ..route() };
        assert!(archive_document(&renamed, &image, 17).is_err());
    }
}
