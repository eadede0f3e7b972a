//! The usual way: typed event, `serde_dynamo` to a JSON value, `serde_json` to text. The reference that the
//! mapping is reported against; it loses digits, and one odd record fails the whole event.

use aws_lambda_events::event::dynamodb::Event;
use serde_json::{Value, json};

/// The bulk body of `event`.
///
/// # Errors
/// A value that JSON has no place for.
pub fn bulk_body(event: Event, index: &str) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    for record in event.records {
        let key: Value = serde_dynamo::from_item(record.change.keys)?;
        let id = format!("{}|{}", text(&key, "user_id"), text(&key, "session_id"));
        let old: Value = serde_dynamo::from_item(record.change.old_image)?;
        let new: Value = serde_dynamo::from_item(record.change.new_image)?;
        if old == new {
            continue;
        }
        let action = json!({ "index": { "_index": index, "_id": id } });
        serde_json::to_writer(&mut body, &action)?;
        body.push(b'\n');
        serde_json::to_writer(&mut body, &new)?;
        body.push(b'\n');
    }
    Ok(body)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
