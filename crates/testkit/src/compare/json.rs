//! Comparing JSON texts member by member, numbers by their digits.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

enum Node<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    Text(String),
    /// A number, `true`, `false` or `null`, as written.
    Literal(&'a str),
}

/// Where two JSON texts differ first, with both values; `None` when they are equal. The order of members does not
/// count.
///
/// # Panics
/// When one of them is not JSON.
#[must_use]
pub fn first_difference(expected: &str, found: &str) -> Option<String> {
    let expected: &RawValue = serde_json::from_str(expected).expect("the expected document is JSON");
    let found: &RawValue = serde_json::from_str(found).expect("the found document is JSON");
    difference("", expected, found)
}

fn difference(path: &str, expected: &RawValue, found: &RawValue) -> Option<String> {
    match (parse(expected), parse(found)) {
        (Node::Object(expected), Node::Object(found)) => members(path, &expected, &found),
        (Node::Array(left), Node::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(&right).enumerate();
            pairs.find_map(|(position, (left, right))| difference(&format!("{path}/{position}"), left, right))
        }
        (Node::Text(left), Node::Text(right)) if left == right => None,
        (Node::Literal(left), Node::Literal(right)) if left == right => None,
        _ => Some(told(path, expected.get(), found.get())),
    }
}

fn members(path: &str, expected: &BTreeMap<String, &RawValue>, found: &BTreeMap<String, &RawValue>) -> Option<String> {
    let of_expected = expected.iter().find_map(|(name, left)| {
        let path = format!("{path}/{name}");
        match found.get(name) {
            Some(right) => difference(&path, left, right),
            None => Some(told(&path, left.get(), "nothing")),
        }
    });
    of_expected.or_else(|| {
        let (name, extra) = found.iter().find(|(name, _)| !expected.contains_key(*name))?;
        Some(told(&format!("{path}/{name}"), "nothing", extra.get()))
    })
}

fn parse(raw: &RawValue) -> Node<'_> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => Node::Object(serde_json::from_str(text).unwrap()),
        Some(b'[') => Node::Array(serde_json::from_str(text).unwrap()),
        Some(b'"') => Node::Text(serde_json::from_str(text).unwrap()),
        _ => Node::Literal(text),
    }
}

fn told(path: &str, expected: &str, found: &str) -> String {
    format!("{path}: expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_member_by_member() {
        for (left, right, difference) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{ "b": [1, 2], "a": 1 }"#, None),
            (r#""\u0061""#, r#""a""#, None),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678", None),
            ("[1]", "[1,2]", Some(": expected [1], found [1,2]")),
            ("1", "1.0", Some(": expected 1, found 1.0")),
            ("1", "\"1\"", Some(": expected 1, found \"1\"")),
            (r#"{"a":{"b":null}}"#, r#"{"a":{}}"#, Some("/a/b: expected null, found nothing")),
            (r#"{}"#, r#"{"a":true}"#, Some("/a: expected nothing, found true")),
        ] {
            assert_eq!(first_difference(left, right).as_deref(), difference, "{left} {right}");
        }
    }
}
