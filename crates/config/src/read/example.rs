//! Suggests the right form of a value that was written in another form.

use crate::tree::{Node, Value};

/// Tables that are often written as a single value, and how they are written.
const TABLES: [(&str, &str); 15] = [
    ("aws", "[aws] with profile = \"…\" or role_arn = \"…\""),
    ("source", "[source] with table = \"…\""),
    ("opensearch", "[opensearch] with url = \"https://…\""),
    (
        "opensearch.auth",
        "auth = { kind = \"basic\", username = \"…\", password_env = \"…\" }, or auth = { kind = \"sigv4\" }",
    ),
    ("state", "[state] with table = \"…\""),
    ("dead_letter", "[dead_letter] with kind = \"file\" and path = \"…\""),
    ("lambda", "[lambda] with deadline_margin = \"2s\""),
    ("http", "[http] with listen = \"127.0.0.1:9464\""),
    ("index", "[index.NAME], where NAME is the index of a route; the index itself is named under [[route]]"),
    ("route", "[[route]] with index = \"…\""),
    ("route.when", "when = { attribute = \"kind\", equals = \"order\" }"),
    ("route.rename", "rename = { ua = \"user_agent\" }"),
    ("route.set", "set = { city = { from = \"address.city\" } }"),
    (
        "route.set.*",
        "city = { from = \"address.city\" }, place = { lat = \"lat\", lon = \"lon\" }, or kind = { value = \"order\" }",
    ),
    ("route.ttl", "ttl = { attribute = \"expires_at\" }"),
];

/// An example for a value that should have been `expected`. What it quotes stands in the file.
pub(super) fn example(node: &Node, expected: &str) -> Option<String> {
    let path = without_positions(&node.place.path);
    let key = path.rsplit('.').next().unwrap_or_default();
    if expected.contains("table") || path == "route" {
        let is_it = |table: &str| table == path || table.strip_suffix('*').is_some_and(|start| path.starts_with(start));
        return TABLES.iter().find(|(table, _)| is_it(table)).map(|(_, form)| format!("write {form}"));
    }
    let is_element = node.place.path.ends_with(']');
    match (&node.value, expected) {
        _ if is_element => None,
        (Value::Text { written, .. }, "an array") => Some(format!("write {key} = [{written:?}]")),
        (Value::Array(elements), "a string") => match elements.as_slice() {
            [Node { value: Value::Text { written, .. }, .. }] => Some(format!("write {key} = {written:?}")),
            _ => None,
        },
        (Value::Integer(number), "a string") => Some(format!("write {key} = \"{number}\"")),
        (Value::Text { written, .. }, "an integer") if written.parse::<u64>().is_ok() => {
            Some(format!("write {key} = {written}, without quotes"))
        }
        (Value::Text { written, .. }, "true or false") if matches!(written.as_str(), "true" | "false") => {
            Some(format!("write {key} = {written}, without quotes"))
        }
        _ => None,
    }
}

/// `route[0].when[1]` as `route.when`.
fn without_positions(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            let was_inside = inside;
            match c {
                '[' => inside = true,
                ']' => inside = false,
                _ => {}
            }
            !was_inside && *c != '['
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_left_out() {
        assert_eq!(without_positions("route[0].when[12].attribute"), "route.when.attribute");
        assert_eq!(without_positions("source"), "source");
    }
}
