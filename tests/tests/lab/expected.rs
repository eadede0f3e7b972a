//! What a document must be, by a converter of the tests' own: an error that the product's converter makes twice
//! must show.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::to_string;
use streamdex_testkit::compare::Expected;
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY};

/// The document of an item of the sessions table.
pub(crate) fn session(item: &Item) -> Option<Expected> {
    Some(Expected { id: id(item), document: document(item) })
}

pub(crate) fn id(item: &Item) -> String {
    let part = |name: &str| item[name].as_s().unwrap().replace('\\', "\\\\").replace('|', "\\|");
    format!("{}|{}", part(PARTITION_KEY), part(SORT_KEY))
}

fn document(item: &Item) -> String {
    object(item.iter())
}

fn object<'a>(members: impl Iterator<Item = (&'a String, &'a AttributeValue)>) -> String {
    let members: Vec<String> =
        members.map(|(name, value)| format!("{}:{}", to_string(name).unwrap(), json(value))).collect();
    format!("{{{}}}", members.join(","))
}

fn json(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => to_string(text).unwrap(),
        AttributeValue::N(digits) => digits.clone(),
        AttributeValue::B(bytes) => format!("\"{}\"", STANDARD.encode(bytes)),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Null(_) => "null".to_owned(),
        AttributeValue::L(values) => format!("[{}]", values.iter().map(json).collect::<Vec<_>>().join(",")),
        AttributeValue::M(values) => object(values.iter()),
        AttributeValue::Ss(texts) => set(texts.clone(), |text| to_string(text).unwrap()),
        AttributeValue::Ns(digits) => set(digits.clone(), Clone::clone),
        AttributeValue::Bs(blobs) => {
            set(blobs.iter().map(|blob| STANDARD.encode(blob)).collect(), |text| format!("\"{text}\""))
        }
        other => panic!("no document for {other:?}"),
    }
}

/// Ascending by the text of the elements.
fn set(mut elements: Vec<String>, write: impl Fn(&String) -> String) -> String {
    elements.sort_unstable();
    format!("[{}]", elements.iter().map(write).collect::<Vec<_>>().join(","))
}
