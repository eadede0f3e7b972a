//! Which attributes of an item are written, and under which field.

use crate::image::is_special;
use crate::route::Route;
use crate::text::Text;

/// Where an attribute goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projected<'r> {
    /// It is left out.
    LeftOut,
    /// To the field of its own name.
    Same,
    /// To this field.
    Renamed(&'r str),
}

/// Where `route` writes the attribute `name`.
///
/// Called for every attribute of every image, so the plain case, a route that says nothing of fields, looks
/// at two bytes of the name.
pub(crate) fn project<'r>(route: &'r Route, name: Text<'_>) -> Projected<'r> {
    if is_plain(route) && !is_special(name) {
        return Projected::Same;
    }
    let attribute = name.decode();
    match route.field_of(&attribute) {
        None => Projected::LeftOut,
        Some(_) => match route.rename.get(attribute.as_ref()) {
            Some(field) if *field != attribute => Projected::Renamed(field),
            _ => Projected::Same,
        },
    }
}

/// Whether `route` says nothing of fields.
pub(crate) fn is_plain(route: &Route) -> bool {
    route.include.is_empty() && route.exclude.is_empty() && route.rename.is_empty()
}

/// Whether `route` writes the attribute `name` at all.
pub(crate) fn is_kept(route: &Route, name: Text<'_>) -> bool {
    project(route, name) != Projected::LeftOut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::IndexName;

    #[test]
    fn the_plain_case_and_the_others_agree() {
        let plain = Route::to(IndexName::parse("i").unwrap());
        let named =
            Route { rename: [("a".to_owned(), "b".to_owned())].into(), exclude: vec!["x".into()], ..plain.clone() };
        for (name, of_plain, of_named) in [
            (r#""n""#, Projected::Same, Projected::Same),
            (r#""a""#, Projected::Same, Projected::Renamed("b")),
            (r#""\u0061""#, Projected::Same, Projected::Renamed("b")),
            (r#""x""#, Projected::Same, Projected::LeftOut),
            (r#""aws:rep:deleting""#, Projected::LeftOut, Projected::LeftOut),
            (r#""\u0061ws:rep:deleting""#, Projected::LeftOut, Projected::LeftOut),
        ] {
            assert_eq!(project(&plain, Text::of_literal(name)), of_plain, "{name}");
            assert_eq!(project(&named, Text::of_literal(name)), of_named, "{name}");
        }
    }
}
