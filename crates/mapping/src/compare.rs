//! Whether two images give the same document.

use crate::document::{document, sorted};
use crate::image::{Image, Members, Node, Values};
use crate::project::is_kept;
use crate::route::Route;

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
    let mut others = right_image.attributes();
    for (name, value) in left_image.attributes() {
        // Both images come from one serialiser, so mostly the next one is the same attribute.
        let other = match others.next() {
            Some((same, other)) if same == name => Some(other),
            _ => right_image.get(&name.decode()),
        };
        if !other.is_some_and(|other| same_value(value, other)) && is_kept(left_route, name) {
            return false;
        }
    }
    // All that the left one has; the right one may still have more.
    let kept = |image: &Image<'_>| image.attributes().filter(|(name, _)| is_kept(left_route, *name)).count();
    kept(left_image) == kept(right_image)
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
        (Node::Map(_), Node::Map(_)) => same_map(left, right),
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

fn same_map(left: &[Node<'_>], right: &[Node<'_>]) -> bool {
    let (left, right) = (Members { rest: left }, Members { rest: right });
    if left.clone().count() != right.clone().count() {
        return false;
    }
    left.into_iter().all(|(name, value)| {
        right.clone().find(|(other, _)| *other == name).is_some_and(|(_, other)| same_value(value, other))
    })
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

    #[test]
    fn attributes_that_are_left_out_do_not_count() {
        let route = Route { exclude: vec!["seen".into()], ..Route::to(IndexName::parse("i").unwrap()) };
        assert!(same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"seen":{"N":"2"},"a":{"S":"x"}}"#));
        assert!(same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"a":{"S":"x"}}"#));
        assert!(!same(&route, r#"{"a":{"S":"x"},"seen":{"N":"1"}}"#, r#"{"a":{"S":"y"},"seen":{"N":"1"}}"#));
    }
}
