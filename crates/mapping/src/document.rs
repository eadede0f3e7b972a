//! Turns items into documents: one JSON object with the attributes that a route keeps.

use bytes::Bytes;

use crate::image::Image;
use crate::route::Dots;
use crate::shape::Shaped;

pub use crate::field::{DocumentError, EXPIRED_AT, is_reserved_field};

/// The document of `image` under `route`.
///
/// The text is one JSON object without a line break: attribute order as it came, numbers verbatim. Where the route says
/// nothing of fields, that is how the image was written when it was read.
pub(crate) fn document(route: &Shaped, image: &Image<'_>) -> Result<Bytes, DocumentError> {
    if let Some(whole) = image.whole.clone().filter(|_| route.shape.is_plain() && !image.has_special_names) {
        return Ok(image.written.slice(whole));
    }
    let mut out = Vec::with_capacity(image.written.len());
    route.shape.write_members(route, image, &mut out)?;
    out.push(b'}');
    Ok(out.into())
}

/// The archive copy: the document and the second at which it expired.
pub(crate) fn archive_document(route: &Shaped, image: &Image<'_>, seconds: u32) -> Result<Bytes, DocumentError> {
    let is_taken = image.attributes.iter().any(|attribute| {
        let name = attribute.name.decode();
        let field = route.field_of(&name);
        let root = field.as_deref().map(|field| match route.dots {
            Dots::Expand => field.split('.').next().unwrap_or_default(),
            Dots::Keep | Dots::Underscore => field,
        });
        root == Some(EXPIRED_AT)
    });
    if is_taken || route.set.contains_key(EXPIRED_AT) {
        return Err(DocumentError::Collision(EXPIRED_AT.to_owned()));
    }
    let mut out = Vec::with_capacity(image.written.len() + 32);
    route.shape.write_members(route, image, &mut out)?;
    let separator = if out.len() > 1 { "," } else { "" };
    out.extend_from_slice(format!("{separator}\"{EXPIRED_AT}\":{seconds}}}").as_bytes());
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read_item;
    use crate::operation::IndexName;
    use crate::route::{NumberForm, Route};

    fn route() -> Route {
        Route::to(IndexName::parse("i").unwrap())
    }

    fn render(route: &Route, item: &str) -> Result<String, DocumentError> {
        document(&Shaped::new(route.clone()), &read_item(item).unwrap())
            .map(|text| String::from_utf8(text.into()).unwrap())
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
    fn names_that_opensearch_keeps_get_a_prefix_at_the_root_alone() {
        let item = r#"{"_id":{"S":"x"},"\u005ftype":{"S":"y"},"_own":{"S":"z"},"m":{"M":{"_id":{"S":"x"}}}}"#;
        let expected = r#"{"x_id":"x","x_type":"y","_own":"z","m":{"_id":"x"}}"#;
        assert_eq!(render(&route(), item).unwrap(), expected);
        let taken = r#"{"_id":{"S":"x"},"x_id":{"S":"y"}}"#;
        assert_eq!(render(&route(), taken), Err(DocumentError::Collision("x_id".into())));
        let renamed = Route { rename: [("_id".to_owned(), "old_id".to_owned())].into(), ..route() };
        assert_eq!(render(&renamed, taken).unwrap(), r#"{"old_id":"x","x_id":"y"}"#);
    }

    #[test]
    fn an_archive_copy_says_when_it_expired() {
        let image = read_item(r#"{"a":{"S":"x"}}"#).unwrap();
        assert_eq!(archive_document(&Shaped::new(route()), &image, 17).unwrap(), r#"{"a":"x","expired_at":17}"#);
        assert_eq!(archive_document(&Shaped::new(route()), &Image::default(), 17).unwrap(), r#"{"expired_at":17}"#);
        let renamed = Route { rename: [("a".to_owned(), EXPIRED_AT.to_owned())].into(), ..route() };
        assert!(archive_document(&Shaped::new(renamed), &image, 17).is_err());
        let expanded = Shaped::new(Route { dots: Dots::Expand, ..route() });
        let inside = read_item(r#"{"expired_at.x":{"S":"x"}}"#).unwrap();
        assert!(archive_document(&expanded, &inside, 17).is_err());
    }
}
