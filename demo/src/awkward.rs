//! Items that converters stumble over, and one that no search engine accepts.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY, TTL};

/// One item for each awkward thing.
pub(crate) fn items() -> Vec<Item> {
    let digits = "12345678901234567890123456789012345678";
    let blobs = vec![Blob::new([0, 255]), Blob::new([1, 2, 3])];
    let texts = vec!["reader".to_owned(), "buyer".to_owned()];
    let numbers = vec!["3".to_owned(), "1.5".to_owned(), "-7".to_owned()];
    vec![
        item("38-digits", [("balance", number(digits))]),
        item("mixed-numbers", [("ratios", AttributeValue::L(vec![number("1"), number("2.5")]))]),
        item("binary", [("fingerprint", AttributeValue::B(Blob::new([0, 159, 146, 150])))]),
        item("string-set", [("roles", AttributeValue::Ss(texts))]),
        item("number-set", [("scores", AttributeValue::Ns(numbers))]),
        item("binary-set", [("digests", AttributeValue::Bs(blobs))]),
        item("nested-maps", [("nested", nested(12))]),
        item("no-ttl", []),
        item("text-ttl", [(TTL, text("never"))]),
        item("odd|id\\", [("nothing", AttributeValue::Null(true))]),
    ]
}

/// Every search engine refuses it: the list holds a number and an object, in a field that is new.
pub(crate) fn refused() -> Item {
    let object = AttributeValue::M(HashMap::from([("a".to_owned(), number("1"))]));
    item("refused", [("mixed", AttributeValue::L(vec![number("1"), object]))])
}

/// The same item, corrected.
pub(crate) fn corrected() -> Item {
    item("refused", [("mixed", text("no more"))])
}

/// A session that expired and was not swept yet, as in DynamoDB for days.
pub(crate) fn lingering(now: u64) -> Item {
    item("lingering", [(TTL, number(&now.saturating_sub(3_600).to_string()))])
}

fn item<const N: usize>(session: &str, attributes: [(&str, AttributeValue); N]) -> Item {
    let mut item = Item::from([
        (PARTITION_KEY.to_owned(), text("awkward")),
        (SORT_KEY.to_owned(), text(session)),
        ("kind".to_owned(), text("session")),
    ]);
    item.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
    item
}

fn nested(depth: u32) -> AttributeValue {
    match depth {
        0 => text("leaf"),
        _ => AttributeValue::M(HashMap::from([("deeper".to_owned(), nested(depth - 1))])),
    }
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn number(digits: &str) -> AttributeValue {
    AttributeValue::N(digits.to_owned())
}
