//! DynamoDB's own JSON, as in events and in the answers of the command line tools.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::sessions::Item;

/// `{"name":{"S":"text"},…}`, members in ascending order of their names.
#[must_use]
pub fn dynamodb_json(item: &Item) -> String {
    let mut text = String::new();
    members(&mut text, item.iter());
    text
}

fn members<'a>(text: &mut String, members: impl Iterator<Item = (&'a String, &'a AttributeValue)>) {
    text.push('{');
    separated(text, members, |text, (name, value)| {
        quoted(text, name);
        text.push(':');
        attribute(text, value);
    });
    text.push('}');
}

fn attribute(text: &mut String, value: &AttributeValue) {
    let tag = match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::B(_) => "B",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::L(_) => "L",
        AttributeValue::M(_) => "M",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bs(_) => "BS",
        other => panic!("an attribute of a type that this workload does not make: {other:?}"),
    };
    write!(text, "{{\"{tag}\":").unwrap();
    match value {
        AttributeValue::S(value) | AttributeValue::N(value) => quoted(text, value),
        AttributeValue::B(value) => binary(text, value),
        AttributeValue::Bool(value) | AttributeValue::Null(value) => write!(text, "{value}").unwrap(),
        AttributeValue::L(values) => list(text, values, attribute),
        AttributeValue::M(values) => members(text, values.iter().collect::<BTreeMap<_, _>>().into_iter()),
        AttributeValue::Ss(values) | AttributeValue::Ns(values) => {
            list(text, values, |text, value| quoted(text, value))
        }
        AttributeValue::Bs(values) => list(text, values, binary),
        _ => {}
    }
    text.push('}');
}

fn list<T>(text: &mut String, values: &[T], write: impl Fn(&mut String, &T)) {
    text.push('[');
    separated(text, values.iter(), write);
    text.push(']');
}

fn separated<T>(text: &mut String, values: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
    for (position, value) in values.enumerate() {
        if position > 0 {
            text.push(',');
        }
        write(text, value);
    }
}

fn quoted(text: &mut String, value: &str) {
    text.push_str(&serde_json::to_string(value).unwrap());
}

fn binary(text: &mut String, value: &Blob) {
    quoted(text, &aws_smithy_types::base64::encode(value));
}
