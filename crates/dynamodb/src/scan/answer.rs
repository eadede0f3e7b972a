//! The answer of Scan: items as they came, and where the segment goes on.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::item::ItemText;

/// Where a segment goes on: the key of the last item that was read, as DynamoDB JSON. It is private, as keys are.
#[derive(Clone, PartialEq, Eq)]
pub struct ScanPosition(String);

/// What Scan answered. Absence is no proof: what the answer does not hold is not known.
pub(super) struct ScanAnswer {
    /// `None` where it has no list of items.
    pub(super) items: Option<Vec<ItemText>>,
    pub(super) next: Option<ScanPosition>,
    pub(super) read_units: Option<f64>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "Items")]
    items: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "LastEvaluatedKey")]
    next: Option<&'a RawValue>,
    #[serde(rename = "ConsumedCapacity")]
    capacity: Option<Capacity>,
}

#[derive(Deserialize)]
struct Capacity {
    #[serde(rename = "CapacityUnits")]
    units: Option<f64>,
}

#[derive(Deserialize)]
enum KeyWire {
    S(String),
    N(String),
    B(String),
}

impl ScanAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is not an answer of Scan. The error contains the position but no content.
    pub(super) fn read(body: &[u8]) -> Result<ScanAnswer, String> {
        let wire: Wire<'_> =
            serde_json::from_slice(body).map_err(|error| format!("line {} column {}", error.line(), error.column()))?;
        let position =
            |raw: &RawValue| ScanPosition::parse(raw.get()).ok_or_else(|| "LastEvaluatedKey is not a key".to_owned());
        Ok(ScanAnswer {
            items: wire.items.map(|items| items.into_iter().map(|item| item.get().into()).collect()),
            next: wire.next.filter(|next| next.get() != "null").map(position).transpose()?,
            read_units: wire.capacity.and_then(|capacity| capacity.units),
        })
    }
}

impl ScanPosition {
    /// From the text of [`ScanPosition::as_str`]; `None` where it is no key.
    pub fn parse(text: &str) -> Option<ScanPosition> {
        let position = ScanPosition(text.to_owned());
        position.key().map(|_| position)
    }

    /// The key as DynamoDB JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the SDK sends it; `None` where it is no key.
    pub(super) fn key(&self) -> Option<HashMap<String, AttributeValue>> {
        let key: HashMap<String, KeyWire> = serde_json::from_str(&self.0).ok()?;
        let value = |value| {
            Some(match value {
                KeyWire::S(text) => AttributeValue::S(text),
                KeyWire::N(digits) => AttributeValue::N(digits),
                KeyWire::B(text) => AttributeValue::B(Blob::new(STANDARD.decode(text).ok()?)),
            })
        };
        let key: HashMap<_, _> =
            key.into_iter().map(|(name, wire)| Some((name, value(wire)?))).collect::<Option<_>>()?;
        (!key.is_empty()).then_some(key)
    }
}

/// Keys are private.
impl std::fmt::Debug for ScanPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScanPosition({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_came() {
        let body = br#"{"Items":[{"pk":{"S":"a"},"n":{"N":"1.50"}}],"Count":1,"LastEvaluatedKey":{"pk":{"B":"AQ=="}},
            "ConsumedCapacity":{"CapacityUnits":2.5,"TableName":"t"}}"#;
        let answer = ScanAnswer::read(body).unwrap();
        assert_eq!(&*answer.items.unwrap()[0], r#"{"pk":{"S":"a"},"n":{"N":"1.50"}}"#);
        assert_eq!(answer.next.unwrap().key().unwrap()["pk"], AttributeValue::B(Blob::new(vec![1])));
        assert_eq!(answer.read_units, Some(2.5));
    }

    #[test]
    fn what_an_answer_does_not_hold_is_not_known() {
        let answer = ScanAnswer::read(b"{}").unwrap();
        assert!(answer.items.is_none() && answer.next.is_none());
        let answer = ScanAnswer::read(br#"{"Items":[],"LastEvaluatedKey":null}"#).unwrap();
        assert!(answer.items.unwrap().is_empty() && answer.next.is_none());
        for bad in [
            "<html>",
            "[]",
            r#"{"Items":5}"#,
            r#"{"Items":[],"LastEvaluatedKey":{}}"#,
            r#"{"LastEvaluatedKey":{"pk":{"X":"a"}}}"#,
        ] {
            assert!(ScanAnswer::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn positions_are_kept_as_text_and_are_private() {
        let position = ScanPosition(r#"{"pk":{"S":"secret"}}"#.into());
        assert_eq!(ScanPosition::parse(position.as_str()), Some(position.clone()));
        assert_eq!(ScanPosition::parse("{}"), None);
        assert!(!format!("{position:?}").contains("secret"));
    }
}
