//! The expected document of an item, computed without streamdex's code.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use streamdex_testkit::compare::Expected;
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY};

/// Id and document of an item.
pub(crate) fn document(item: &Item) -> Expected {
    let fields = item.iter().filter(|(name, _)| *name != "token").map(|(name, value)| {
        let field = if name == "ip" { "client_ip" } else { name };
        member(field, value)
    });
    Expected { id: id(item), document: object(fields) }
}

/// The keys, joined, with the joint and its escape escaped.
pub(crate) fn id(item: &Item) -> String {
    let part = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text)) => text.replace('\\', r"\\").replace('|', r"\|"),
        _ => String::new(),
    };
    format!("{}|{}", part(PARTITION_KEY), part(SORT_KEY))
}

fn object(members: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn array(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

fn member(name: &str, value: &AttributeValue) -> String {
    format!("{}:{}", quoted(name), text(value))
}

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => quoted(text),
        // The digits as they are: 38 of them do not fit into a number of this program.
        AttributeValue::N(digits) => digits.clone(),
        AttributeValue::B(bytes) => quoted(&STANDARD.encode(bytes)),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::L(values) => array(values.iter().map(text)),
        AttributeValue::M(members) => object(members.iter().map(|(name, value)| member(name, value))),
        AttributeValue::Ss(values) => array(sorted(values.clone()).map(|text| quoted(&text))),
        AttributeValue::Ns(values) => array(sorted(values.clone())),
        AttributeValue::Bs(values) => {
            let encoded = values.iter().map(|bytes| STANDARD.encode(bytes)).collect();
            array(sorted(encoded).map(|text| quoted(&text)))
        }
        _ => "null".to_owned(),
    }
}

/// Sets have no order.
fn sorted(mut values: Vec<String>) -> impl Iterator<Item = String> {
    values.sort_unstable();
    values.into_iter()
}

fn quoted(text: &str) -> String {
    json!(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_becomes_a_document() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let item = Item::from([
            (PARTITION_KEY.to_owned(), text("user-1")),
            (SORT_KEY.to_owned(), text("s|1")),
            ("token".to_owned(), text("secret")),
            ("ip".to_owned(), text("192.0.2.1")),
            ("scores".to_owned(), AttributeValue::Ns(vec!["3".to_owned(), "1.50".to_owned(), "-7".to_owned()])),
        ]);
        let expected = document(&item);
        assert_eq!(expected.id, r"user-1|s\|1");
        let json = r#"{"client_ip":"192.0.2.1","scores":[-7,1.50,3],"session_id":"s|1","user_id":"user-1"}"#;
        assert_eq!(expected.document, json);
    }
}
