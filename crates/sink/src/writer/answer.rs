//! Reads bulk answers: borrows from them, tolerates unknown members, and does not pass on reasons.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::classify::FRONT_END_THROTTLED;
use crate::scrub::{Scrubbed, scrub};

/// What was said of one operation.
#[derive(Debug)]
pub(super) struct ItemAnswer {
    pub(super) status: u16,
    pub(super) error: Option<Box<Scrubbed>>,
}

/// An answer that is no list of items.
#[derive(Debug)]
pub(super) struct WholeAnswer {
    pub(super) status: u16,
    /// The error's type; `None` where it is no error of OpenSearch's.
    pub(super) error_type: Option<String>,
    /// For people.
    pub(super) error: Scrubbed,
    pub(super) speaker: Speaker,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// OpenSearch, or AWS in front of it: the body is JSON with an error or a message.
    Service,
    /// A proxy, a firewall, a web page: the body is anything else.
    Stranger,
}

/// The answers to the operations of a request, in their order.
///
/// # Errors
/// The body is no bulk answer; says where it broke, never with what.
pub(super) fn read_items(body: &[u8]) -> Result<Vec<ItemAnswer>, String> {
    let answer: BulkBody = serde_json::from_slice(body)
        .map_err(|error| format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column()))?;
    Ok(answer.items.into_iter().map(|item| item.0).collect())
}

/// The error of a request that was refused whole.
pub(super) fn read_error(status: u16, body: &[u8]) -> WholeAnswer {
    let parsed: ErrorAnswer = serde_json::from_slice(body).unwrap_or_default();
    if let Some(error) = parsed.error {
        let error_type = error.error_type().map(str::to_owned);
        return WholeAnswer { status, error: error.scrub(), error_type, speaker: Speaker::Service };
    }
    let speaker = if parsed.message.is_some() { Speaker::Service } else { Speaker::Stranger };
    let throttled = parsed.message.is_some_and(|message| message.starts_with("Request throttled"));
    let error_type = throttled.then(|| FRONT_END_THROTTLED.to_owned());
    let error = Scrubbed { error_type: error_type.clone().unwrap_or_else(|| format!("http_{status}")), detail: None };
    WholeAnswer { status, error_type, error, speaker }
}

#[derive(Deserialize)]
struct BulkBody<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize, Default)]
struct ErrorAnswer<'a> {
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
    #[serde(borrow, default, alias = "Message")]
    message: Option<Cow<'a, str>>,
}

/// `{"index": {"status": 200, …}}`: the key is the verb, and of no interest, since positions pair them.
struct Item<'a>(ItemAnswer, std::marker::PhantomData<&'a ()>);

#[derive(Deserialize)]
struct ItemBody<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
}

/// An object, or in old versions and in front of proxies a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorBody<'a> {
    Object(#[serde(borrow)] ErrorObject<'a>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(rename = "type", borrow, default)]
    error_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Cause<'a>>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

// === impl ===

impl ErrorBody<'_> {
    fn error_type(&self) -> Option<&str> {
        match self {
            ErrorBody::Object(object) => object.error_type.as_deref(),
            ErrorBody::Other(_) => None,
        }
    }

    fn scrub(&self) -> Scrubbed {
        match self {
            ErrorBody::Object(object) => {
                let cause = object.caused_by.as_ref().and_then(|cause| cause.reason.as_deref());
                scrub(object.error_type.as_deref(), object.reason.as_deref().into_iter().chain(cause))
            }
            ErrorBody::Other(_) => scrub(None, []),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item<'a>, D::Error> {
        deserializer.deserialize_map(ItemVisitor).map(|answer| Item(answer, std::marker::PhantomData))
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = ItemAnswer;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with the answer to one operation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ItemAnswer, A::Error> {
        let mut answer = None;
        while map.next_key::<IgnoredAny>()?.is_some() {
            let body: ItemBody<'de> = map.next_value()?;
            let error = body.error.map(|error| Box::new(error.scrub()));
            answer = Some(ItemAnswer { status: body.status, error });
        }
        answer.ok_or_else(|| serde::de::Error::custom("an empty item"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_in_order() {
        let body = br#"{"took":3,"errors":true,"new":{"x":[1]},"items":[
            {"index":{"_index":"a","_version":3,"result":"created","status":201,"_shards":{"total":2}}},
            {"delete":{"status":404,"result":"not_found"}},
            {"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse field [a] of type [long] in document with id 'S\u00e9cret'. Preview of field's value: 'SECRET'","caused_by":{"type":"x"}}}},
            {"index":{"status":429,"error":"text"}}
        ]}"#;
        let items = read_items(body).unwrap();
        let shown: Vec<(u16, Option<String>)> =
            items.iter().map(|item| (item.status, item.error.as_ref().map(ToString::to_string))).collect();
        assert_eq!(
            shown,
            [
                (201, None),
                (404, None),
                (400, Some("mapper_parsing_exception: the value of field [a] is no long".into())),
                (429, Some("unknown_error".into())),
            ]
        );
    }

    #[test]
    fn what_is_no_bulk_answer_is_told_without_its_text() {
        for body in [
            &b""[..],
            b"<html>SECRET",
            b"{}",
            br#"{"items":[{"index":{}}]}"#,
            br#"{"items":[{}]}"#,
            br#"{"items":[{"index":{"status":"SECRET"}}]}"#,
        ] {
            let error = read_items(body).unwrap_err();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn whole_errors_have_a_type_where_opensearch_gave_one() {
        let rows: [(&[u8], Option<&str>); 7] = [
            (
                br#"{"error":{"root_cause":[],"type":"illegal_argument_exception","reason":"x"},"status":400}"#,
                Some("illegal_argument_exception"),
            ),
            (br#"{"error":"Unauthorized","status":401}"#, None),
            (br#"{"message":"Request throttled due to too many requests"}"#, Some(FRONT_END_THROTTLED)),
            (br#"{"Message":"User: anonymous is not authorized"}"#, None),
            (br#"{"message":"The security token included in the request is expired"}"#, None),
            (b"<html>Bad Gateway</html>", None),
            (b"", None),
        ];
        for (body, expected) in rows {
            assert_eq!(read_error(403, body).error_type.as_deref(), expected);
        }
        assert_eq!(read_error(502, b"").error.to_string(), "http_502");
    }
}
