//! Compares two images by the documents that they produce.

use std::borrow::Cow;
use std::ops::Range;

use crate::document::document;
use crate::image::{Attribute, Image};
use crate::json::{Cursor, Fault};
use crate::shape::Shaped;
use crate::text::{Text, write_json_string};

/// Whether `left` under its route and `right` under its route give the same document: the same members
/// in any order, numbers by their text, sets without order.
pub(crate) fn same_content(left: (&Shaped, &Image<'_>), right: (&Shaped, &Image<'_>)) -> bool {
    let ((route, left), (right_route, right)) = (left, right);
    if !std::ptr::eq(route, right_route) {
        // Seldom: two routes that write one index. Their texts decide; a mere difference of order is
        // sent again, which does no harm.
        let texts = (document(route, left), document(right_route, right));
        return matches!(texts, (Ok(left), Ok(right)) if left == right);
    }
    // Both come from one serialiser, so mostly the order is the same.
    let mut in_step = 0;
    for (attribute, other) in left.attributes.iter().zip(&right.attributes) {
        let (left, right) = ((left, attribute), (right, other));
        if !is_one(left, right) && attribute.name != other.name {
            break;
        }
        if !same_attribute(left, right) && route.shape.is_relevant(attribute.name) {
            return false;
        }
        in_step += 1;
    }
    // The others are sorted by name, so that a large item in another order costs little more than one in the same.
    let (rest, other_rest) = (by_name(route, left, in_step), by_name(route, right, in_step));
    rest.len() == other_rest.len()
        && rest
            .iter()
            .zip(&other_rest)
            .all(|(attribute, other)| attribute.name == other.name && same_attribute((left, attribute), (right, other)))
}

/// The attributes behind those in step that matter to `route`.
fn by_name<'i, 'a>(route: &Shaped, image: &'i Image<'a>, in_step: usize) -> Vec<&'i Attribute<'a>> {
    let rest = image.attributes.iter().skip(in_step);
    let mut rest: Vec<_> = rest.filter(|attribute| route.shape.is_relevant(attribute.name)).collect();
    rest.sort_unstable_by_key(|attribute| attribute.name);
    rest
}

/// Whether it was read once for both.
fn is_one(left: (&Image<'_>, &Attribute<'_>), right: (&Image<'_>, &Attribute<'_>)) -> bool {
    left.1.written == right.1.written && left.0.written.as_ptr() == right.0.written.as_ptr()
}

/// The values as they were written: sets are sorted there already.
fn same_attribute(left: (&Image<'_>, &Attribute<'_>), right: (&Image<'_>, &Attribute<'_>)) -> bool {
    if is_one(left, right) {
        return true;
    }
    let (left, right) = (left.0.written_value(left.1), right.0.written_value(right.1));
    if left == right {
        return true;
    }
    // Two scalars without escapes are as different as their texts.
    let may_be_equal = |text: &[u8]| matches!(text, [b'{' | b'[', ..]) || text.contains(&b'\\');
    (may_be_equal(left) || may_be_equal(right))
        && canonical_json(left).is_some_and(|left| canonical_json(right) == Some(left))
}

/// Whether two texts are the same JSON value: the order of members does not matter, and numbers are compared by their
/// text (DESIGN: what equal means). Invalid JSON equals only itself.
pub fn same_json(left: &[u8], right: &[u8]) -> bool {
    left == right || canonical_json(left).is_some_and(|left| canonical_json(right) == Some(left))
}

/// A JSON value as one text for equal values; `None` where it is no JSON.
pub fn canonical_json(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len() + 16);
    write_canonical(&mut Cursor::new(std::str::from_utf8(value).ok()?), &mut out).ok()?;
    Some(out)
}

fn write_canonical_string(text: Text<'_>, out: &mut Vec<u8>) {
    if text.has_escapes() {
        write_json_string(&text.decode(), out);
    } else {
        out.extend_from_slice(text.literal().as_bytes());
    }
}

/// Writes a JSON value: members by ascending name, escapes in one form.
fn write_canonical(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut first = true;
    match cursor.peek()? {
        b'{' => {
            cursor.take(b'{')?;
            out.push(b'{');
            let from = out.len();
            let mut members: Vec<(Cow<'_, str>, Range<usize>)> = Vec::new();
            while let Some(name) = cursor.next_member(&mut first)? {
                let begins = out.len();
                write_canonical_string(name, out);
                out.push(b':');
                write_canonical(cursor, out)?;
                out.push(b',');
                members.push((name.decode(), begins..out.len()));
            }
            if !members.is_sorted_by(|left, right| left.0 <= right.0) {
                members.sort_unstable_by(|left, right| left.0.cmp(&right.0));
                let sorted =
                    members.iter().filter_map(|(_, place)| out.get(place.clone())).collect::<Vec<_>>().concat();
                out.truncate(from);
                out.extend(sorted);
            }
            close(b'}', out);
        }
        b'[' => {
            cursor.take(b'[')?;
            out.push(b'[');
            while cursor.next_element(&mut first)? {
                write_canonical(cursor, out)?;
                out.push(b',');
            }
            close(b']', out);
        }
        b'"' => write_canonical_string(cursor.literal()?, out),
        _ => out.extend_from_slice(cursor.skip()?.as_bytes()),
    }
    Ok(())
}

/// Ends a container, behind each of whose parts a comma was written.
fn close(bracket: u8, out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read_item;
    use crate::operation::IndexName;
    use crate::path::Path;
    use crate::route::{FieldValue, Route};

    fn plain() -> Shaped {
        Shaped::new(Route::to(IndexName::parse("i").unwrap()))
    }

    fn same(route: &Shaped, left: &str, right: &str) -> bool {
        let image = |text| read_item(text).unwrap();
        let (left, right) = (image(left), image(right));
        assert_eq!(same_content((route, &left), (route, &right)), same_content((route, &right), (route, &left)));
        same_content((route, &left), (route, &right))
    }

    #[test]
    fn order_and_escapes_do_not_matter_and_values_do() {
        let route = plain();
        let base = r#"{"a":{"S":"é"},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#;
        let equal = [
            r#"{"l":{"L":[{"N":"1"},{"N":"2"}]},"m":{"M":{"y":{"SS":["q","p"]},"x":{"N":"1"}}},"a":{"S":"\u00e9"}}"#,
            r#"{"a":{"S":"\u00e9"},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#,
        ];
        for text in equal {
            assert!(same(&route, base, text), "{text}");
        }
        let different = [
            r#"{"a":{"S":"e"},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#,
            r#"{"a":{"S":"é"},"m":{"M":{"x":{"N":"1.0"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#,
            r#"{"a":{"S":"é"},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"2"},{"N":"1"}]}}"#,
            r#"{"a":{"S":"é"},"m":{"M":{"x":{"N":"1"}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#,
            r#"{"a":{"S":"é"},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"},{"N":"3"}]}}"#,
            r#"{"a":{"S":"é"},"b":{"NULL":true},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#,
            r#"{"b":{"S":"é"},"m":{"M":{"x":{"N":"1"},"y":{"SS":["p","q"]}}},"l":{"L":[{"N":"1"},{"N":"2"}]}}"#,
        ];
        for text in different {
            assert!(!same(&route, base, text), "{text}");
        }
    }

    /// As many names as members are compared where the order is the same, and n log n where it is not.
    #[test]
    fn members_in_another_order_are_not_compared_each_with_each() {
        const MEMBERS: usize = 4_000;
        let route = plain();
        let members = |numbers: &mut dyn Iterator<Item = usize>| {
            let text: String = numbers.map(|number| format!(r#""k{number}":{{"N":"{number}"}},"#)).collect();
            text.trim_end_matches(',').to_owned()
        };
        let (ascending, descending) = (members(&mut (0..MEMBERS)), members(&mut (0..MEMBERS).rev()));
        for (left, right) in [
            (format!("{{{ascending}}}"), format!("{{{descending}}}")),
            (format!(r#"{{"m":{{"M":{{{ascending}}}}}}}"#), format!(r#"{{"m":{{"M":{{{descending}}}}}}}"#)),
        ] {
            let image = |text| read_item(text).unwrap();
            let (left, right) = (image(&left), image(&right));
            let comparisons = crate::text::count::comparisons_of(|| {
                assert!(same_content((&route, &left), (&route, &right)));
            });
            // 2 n log2 n is 96,000; each with each would be 8 million.
            assert!(comparisons < 200_000, "{comparisons}");
        }
    }

    #[test]
    fn j2_a_member_that_comes_twice_is_not_unchanged_when_its_last_value_differs() {
        let route = plain();
        let (one, two) =
            (r#"{"m":{"M":{"k":{"N":"1"},"k":{"N":"1"}}}}"#, r#"{"m":{"M":{"k":{"N":"1"},"k":{"N":"2"}}}}"#);
        assert!(!same(&route, one, two));
        assert!(same(&route, one, r#"{"m":{"M":{"k":{"N":"1"}}}}"#));
        assert!(!same(&route, r#"{"a":{"N":"1"},"a":{"N":"1"}}"#, r#"{"a":{"N":"1"},"a":{"N":"2"}}"#));
        assert!(!same(&route, r#"{"a":{"N":"1"},"a":{"N":"1"}}"#, r#"{"a":{"N":"1"},"b":{"N":"1"}}"#));
    }

    #[test]
    fn attributes_that_are_left_out_do_not_count() {
        let route = Shaped::new(Route { exclude: vec!["seen".into()], ..plain().route });
        assert!(same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"seen":{"N":"2"},"a":{"S":"x"}}"#));
        assert!(same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"a":{"S":"x"}}"#));
        assert!(!same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"a":{"S":"y"},"seen":{"N":"1"}}"#));
    }

    #[test]
    fn what_a_field_is_made_of_counts_and_what_is_left_out_inside_does_not_hide_it() {
        let set = [("city".to_owned(), FieldValue::From(Path::parse("seen.city").unwrap()))].into();
        let route = Shaped::new(Route { exclude: vec!["seen".into()], set, ..plain().route });
        let item = |city: &str| format!(r#"{{"a":{{"S":"x"}},"seen":{{"M":{{"city":{{"S":"{city}"}}}}}}}}"#);
        assert!(same(&route, &item("Cork"), &item("Cork")));
        assert!(!same(&route, &item("Cork"), &item("Turku")));
    }
}
