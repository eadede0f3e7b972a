//! Whether two images give the same document.

use crate::document::{document, sorted};
use crate::image::Image;
use crate::node::{Members, Node, Values};
use crate::project::is_kept;
use crate::route::Route;
use crate::text::Text;

/// Whether `left` under its route and `right` under its route give the same document: the same members
/// in any order, numbers by their text, sets without order.
pub(crate) fn same_content(left: (&Route, &Image<'_>), right: (&Route, &Image<'_>)) -> bool {
    let ((left_route, left_image), (right_route, right_image)) = (left, right);
    if !std::ptr::eq(left_route, right_route) {
        // Seldom: two routes that write one index. Their texts decide; a mere difference of order is
        // sent again, which does no harm.
        let texts = (document(left_route, left_image), document(right_route, right_image));
        return matches!(texts, (Ok(left), Ok(right)) if left == right);
    }
    same_members(left_image.attributes(), right_image.attributes(), |name| is_kept(left_route, name))
}

/// Whether both have the same members, of those that count, in any order. No name comes twice on either side.
fn same_members(
    mut left: Members<'_, '_>,
    mut right: Members<'_, '_>,
    counts: impl Fn(Text<'_>) -> bool + Copy,
) -> bool {
    // Both come from one serialiser, so mostly the order is the same.
    loop {
        let (before_left, before_right) = (left.clone(), right.clone());
        match (left.next(), right.next()) {
            (Some((name, value)), Some((other_name, other))) if name == other_name => {
                if !same_value(value, other) && counts(name) {
                    return false;
                }
            }
            (None, None) => return true,
            _ => return same_rest(before_left, before_right, counts),
        }
    }
}

/// The same for members of which the first two have different names: sorted by name, so that a large map in another
/// order costs little more than one in the same.
fn same_rest(left: Members<'_, '_>, right: Members<'_, '_>, counts: impl Fn(Text<'_>) -> bool + Copy) -> bool {
    let (left, right) = (by_name(left, counts), by_name(right, counts));
    left.len() == right.len()
        && left
            .iter()
            .zip(&right)
            .all(|((name, value), (other_name, other))| name == other_name && same_value(value, other))
}

fn by_name<'n, 'a>(members: Members<'n, 'a>, counts: impl Fn(Text<'_>) -> bool) -> Vec<(Text<'a>, &'n [Node<'a>])> {
    let mut members: Vec<_> = members.filter(|(name, _)| counts(*name)).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

fn same_value(left: &[Node<'_>], right: &[Node<'_>]) -> bool {
    if left == right {
        return true;
    }
    let (Some((left_first, left)), Some((right_first, right))) = (left.split_first(), right.split_first()) else {
        return false;
    };
    match (left_first, right_first) {
        (Node::List(_), Node::List(_)) => same_list(left, right),
        (Node::Map(_), Node::Map(_)) => same_members(Members { rest: left }, Members { rest: right }, |_| true),
        (Node::StringSet(_), Node::StringSet(_))
        | (Node::NumberSet(_), Node::NumberSet(_))
        | (Node::BinarySet(_), Node::BinarySet(_)) => sorted(left) == sorted(right),
        _ => false,
    }
}

fn same_list(left: &[Node<'_>], right: &[Node<'_>]) -> bool {
    let (left, mut right) = (Values { rest: left }, Values { rest: right });
    left.into_iter().all(|value| right.next().is_some_and(|other| same_value(value, other))) && right.next().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::event::read_item;
    use crate::operation::IndexName;

    fn same(route: &Route, left: &str, right: &str) -> bool {
        let image = |text| read_item(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap();
        let (left, right) = (image(left), image(right));
        assert_eq!(same_content((route, &left), (route, &right)), same_content((route, &right), (route, &left)));
        same_content((route, &left), (route, &right))
    }

    #[test]
    fn order_and_escapes_do_not_matter_and_values_do() {
        let route = Route::to(IndexName::parse("i").unwrap());
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
        let route = Route::to(IndexName::parse("i").unwrap());
        let members = |numbers: &mut dyn Iterator<Item = usize>| {
            let text: String = numbers.map(|number| format!(r#""k{number}":{{"N":"{number}"}},"#)).collect();
            text.trim_end_matches(',').to_owned()
        };
        let (ascending, descending) = (members(&mut (0..MEMBERS)), members(&mut (0..MEMBERS).rev()));
        for (left, right) in [
            (format!("{{{ascending}}}"), format!("{{{descending}}}")),
            (format!(r#"{{"m":{{"M":{{{ascending}}}}}}}"#), format!(r#"{{"m":{{"M":{{{descending}}}}}}}"#)),
        ] {
            let image = |text| read_item(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap();
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
        let route = Route::to(IndexName::parse("i").unwrap());
        let (one, two) =
            (r#"{"m":{"M":{"k":{"N":"1"},"k":{"N":"1"}}}}"#, r#"{"m":{"M":{"k":{"N":"1"},"k":{"N":"2"}}}}"#);
        assert!(!same(&route, one, two));
        assert!(same(&route, one, r#"{"m":{"M":{"k":{"N":"1"}}}}"#));
        assert!(!same(&route, r#"{"a":{"N":"1"},"a":{"N":"1"}}"#, r#"{"a":{"N":"1"},"a":{"N":"2"}}"#));
        assert!(!same(&route, r#"{"a":{"N":"1"},"a":{"N":"1"}}"#, r#"{"a":{"N":"1"},"b":{"N":"1"}}"#));
    }

    #[test]
    fn attributes_that_are_left_out_do_not_count() {
        let route = Route { exclude: vec!["seen".into()], ..Route::to(IndexName::parse("i").unwrap()) };
        assert!(same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"seen":{"N":"2"},"a":{"S":"x"}}"#));
        assert!(same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"a":{"S":"x"}}"#));
        assert!(!same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"a":{"S":"y"},"seen":{"N":"1"}}"#));
    }
}
