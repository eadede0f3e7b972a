//! Documents that an index takes, and documents that it refuses: with which status and type.

use std::sync::Arc;

use opensearch::http::Method;
use serde_json::{Value, json};

use super::check::{Check, check};
use super::lab::{Lab, accepted, answered, write};

const ILLEGAL_ARGUMENT: &str = "illegal_argument_exception";
const MAPPER_PARSING: &str = "mapper_parsing_exception";

/// A document into an index that our own set-up made, after another one that teaches it a field.
fn safe(name: &'static str, first: &'static str, second: &'static str, wanted: Option<(u16, &'static str)>) -> Check {
    check(name, move |lab: Arc<Lab>| async move {
        let index = lab.made_by_us().await;
        if !first.is_empty() {
            accepted(&lab.send(&index, first).await)?;
        }
        let got = lab.send(&index, second).await;
        match wanted {
            Some((status, kind)) => answered(&got, status, kind),
            None => accepted(&got),
        }
    })
}

pub(crate) fn safe_mapping() -> Vec<Check> {
    const DIGITS: &str = r#"{"a":12345678901234567890123456789012345678}"#;
    vec![
        safe("38 digits in a new field are taken", "", DIGITS, None),
        safe("38 digits after a small number are taken", r#"{"a":3}"#, DIGITS, None),
        safe("a set of numbers `[1, 2.5]` is taken", "", r#"{"a":[1,2.5]}"#, None),
        safe("`[{\"q\": 1.50}, {\"q\": 2}]` is taken", "", r#"{"l":[{"q":1.50},{"q":2}]}"#, None),
        safe("9.99E-130 and 1E+125 are taken", r#"{"a":9.99E-130}"#, r#"{"a":1E+125}"#, None),
        safe(
            "text that looks like a date, then other text, is taken",
            r#"{"a":"2024-01-01"}"#,
            r#"{"a":"soon"}"#,
            None,
        ),
        safe("text in a field of numbers is taken", r#"{"a":1}"#, r#"{"a":"x"}"#, None),
        safe("a number in a field of text is taken", r#"{"a":"x"}"#, r#"{"a":1}"#, None),
        safe("text in a field of booleans is taken", r#"{"a":true}"#, r#"{"a":"x"}"#, None),
        safe("a map in a field of numbers is taken", r#"{"a":1}"#, r#"{"a":{"b":1}}"#, None),
        safe("a map in a field of text is taken", r#"{"a":"x"}"#, r#"{"a":{"b":1}}"#, None),
        safe("a TTL that is text is taken", "", r#"{"expires_at":"never"}"#, None),
        safe(
            "a TTL of 38 digits or with a fraction is taken",
            r#"{"expires_at":1700000000.5}"#,
            r#"{"expires_at":12345678901234567890123456789012345678}"#,
            None,
        ),
        safe("a number of 20 digits in a key is taken", "", r#"{"user_id":12345678901234567890}"#, None),
        check("a key of 40,000 characters is taken (not searchable)", |lab: Arc<Lab>| async move {
            let index = lab.made_by_us().await;
            accepted(&lab.send(&index, &json!({"user_id": "x".repeat(40_000)}).to_string()).await)
        }),
        check("32 nested maps, as deep as DynamoDB goes, are taken", |lab: Arc<Lab>| async move {
            let index = lab.made_by_us().await;
            accepted(&lab.send(&index, &nested(32)).await)
        }),
        safe("root fields `_id` and `_source` are taken", r#"{"_id":"x"}"#, r#"{"_source":"x"}"#, None),
        safe(
            "`[1, \"a\"]` in a new field is refused: 400 `illegal_argument_exception`",
            "",
            r#"{"a":[1,"a"]}"#,
            Some((400, ILLEGAL_ARGUMENT)),
        ),
        safe(
            "`[1, {\"a\": 1}]` in a new field is refused: 400 `illegal_argument_exception`",
            "",
            r#"{"a":[1,{"a":1}]}"#,
            Some((400, ILLEGAL_ARGUMENT)),
        ),
        safe(
            "`t` and `t.u` in one document are refused: 400 `illegal_argument_exception`",
            "",
            r#"{"t":"x","t.u":"y"}"#,
            Some((400, ILLEGAL_ARGUMENT)),
        ),
        safe(
            "an empty field name is refused: 400 `mapper_parsing_exception`",
            "",
            r#"{"":1}"#,
            Some((400, MAPPER_PARSING)),
        ),
        safe(
            "a field name with a leading dot is refused: 400 `mapper_parsing_exception`",
            "",
            r#"{".a":1}"#,
            Some((400, MAPPER_PARSING)),
        ),
    ]
}

fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"m":"#.repeat(levels), "}".repeat(levels))
}

/// A document into an index of this mapping and these settings.
fn refused(
    name: &'static str,
    mapping: fn() -> Value,
    settings: fn() -> Value,
    document: fn() -> String,
    wanted: (u16, &'static str),
) -> Check {
    check(name, move |lab: Arc<Lab>| async move {
        let index = lab.index(mapping(), settings()).await;
        answered(&lab.send(&index, &document()).await, wanted.0, wanted.1)
    })
}

pub(crate) fn checks() -> Vec<Check> {
    let none = || Value::Null;
    vec![
        refused(
            "a value that does not fit its field (`ignore_malformed` off): 400 `mapper_parsing_exception`",
            || json!({"properties": {"a": {"type": "long"}}}),
            none,
            || json!({"a": "x"}).to_string(),
            (400, MAPPER_PARSING),
        ),
        refused(
            "an unknown field under `dynamic: strict`: 400 `strict_dynamic_mapping_exception`",
            || json!({"dynamic": "strict"}),
            none,
            || json!({"a": "x"}).to_string(),
            (400, "strict_dynamic_mapping_exception"),
        ),
        refused(
            "more fields than `index.mapping.total_fields.limit`: 400 `illegal_argument_exception`",
            none,
            || json!({"index.mapping.total_fields.limit": 3}),
            || json!({"a": 1, "b": 1, "c": 1, "d": 1}).to_string(),
            (400, ILLEGAL_ARGUMENT),
        ),
        refused(
            "a keyword of more than 32,766 bytes: 400 `illegal_argument_exception`",
            || json!({"properties": {"a": {"type": "keyword"}}}),
            none,
            || json!({"a": "x".repeat(40_000)}).to_string(),
            (400, ILLEGAL_ARGUMENT),
        ),
        refused(
            "deeper than `index.mapping.depth.limit`: 400 `mapper_parsing_exception`",
            none,
            none,
            || nested(25),
            (400, MAPPER_PARSING),
        ),
        refused(
            "a list of a whole number and a decimal, under the engine's own dynamic mapping: 400 `illegal_argument_exception`",
            none,
            none,
            || json!({"l": [{"q": 2}, {"q": 1.5}]}).to_string(),
            (400, ILLEGAL_ARGUMENT),
        ),
        refused(
            "no routing where it is required: 400 `routing_missing_exception`",
            || json!({"_routing": {"required": true}}),
            none,
            || "{}".to_owned(),
            (400, "routing_missing_exception"),
        ),
        refused(
            "a write block: 403 `cluster_block_exception`",
            none,
            || json!({"index.blocks.write": true}),
            || "{}".to_owned(),
            (403, "cluster_block_exception"),
        ),
        check("a closed index: 400 `index_closed_exception`", |lab: Arc<Lab>| async move {
            let index = lab.index(Value::Null, Value::Null).await;
            lab.done(Method::Post, &format!("{index}/_close"), Value::Null).await;
            answered(&lab.send(&index, "{}").await, 400, "index_closed_exception")
        }),
        check("one refused document leaves its neighbours alone", |lab: Arc<Lab>| async move {
            let index = lab.made_by_us().await;
            let lines = write(&index, "a", 1, "{}")
                + &write(&index, "b", 1, r#"{"a":[1,{"a":1}]}"#)
                + &write(&index, "c", 1, "{}");
            super::lab::statuses(lab.bulk(&lines).await, &[201, 400, 201])
        }),
    ]
}
