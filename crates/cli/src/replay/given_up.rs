//! Reads the objects that Lambda writes to a bucket for failed batches. Pure.
//!
//! An object is removed after its replay, so nothing else is taken for one: every record must name a stream of a table
//! that is followed, by its whole ARN.

use std::borrow::Cow;

use serde::Deserialize;
use streamdex_config::{StreamArn, TableArn};

/// A source's table, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    pub(super) name: String,
    /// Emulators may give none.
    pub(super) arn: Option<TableArn>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    payload: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<Vec<Record<'a>>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, rename = "eventSource")]
    service: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "eventSourceARN")]
    stream: Option<Cow<'a, str>>,
}

/// The event in the text of an object.
///
/// # Errors
/// The reason why it is not a failed batch of these tables.
pub(super) fn event_in(text: &str, tables: &[Followed]) -> Result<String, String> {
    let no_object = "it is not a JSON object with the `payload` of a failed batch";
    let object: Object<'_> = serde_json::from_str(text).map_err(|_| no_object)?;
    let payload = object.payload.ok_or(no_object)?;
    let event: Event<'_> =
        serde_json::from_str(&payload).map_err(|_| "its payload is not an event of a DynamoDB stream")?;
    let records = event.records.filter(|records| !records.is_empty()).ok_or("its payload holds no records")?;
    for record in &records {
        if record.service.as_deref() != Some("aws:dynamodb") {
            return Err("it has a record that is not from DynamoDB".to_owned());
        }
        let stream = record.stream.as_deref().and_then(StreamArn::parse);
        let stream = stream.ok_or("it has a record that does not name its stream")?;
        let table = stream.table();
        let is_it = |followed: &Followed| match &followed.arn {
            Some(arn) => *arn == table,
            None => followed.name == stream.table_name(),
        };
        if !tables.iter().any(is_it) {
            return Err(format!("it has a record of {table}, which is not a table of the replayed sources"));
        }
    }
    Ok(payload.into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STREAM: &str = "arn:aws:dynamodb:eu-west-1:111111111111:table/sessions/stream/2026-01-01T00:00:00.000";

    fn tables() -> Vec<Followed> {
        let arn = TableArn::parse("arn:aws:dynamodb:eu-west-1:111111111111:table/sessions");
        vec![Followed { name: "sessions".to_owned(), arn }]
    }

    fn object(records: Value) -> String {
        json!({"version": "1.0", "payload": json!({ "Records": records }).to_string()}).to_string()
    }

    fn record(stream: &str) -> Value {
        json!({"eventSource": "aws:dynamodb", "eventSourceARN": stream, "dynamodb": {}})
    }

    #[test]
    fn only_what_lambda_gave_up_of_these_tables_is_taken() {
        assert!(event_in(&object(json!([record(STREAM)])), &tables()).unwrap().contains("Records"));
        let others = [
            "",
            "not a record\n",
            r#"{"Item":{"pk":{"S":"a"}}}"#,
            r#"{"Records":[]}"#,
            r#"{"payload":"order 17 confirmed"}"#,
            r#"{"payload":{"Records":[]}}"#,
            &object(json!([])),
            &object(json!([record(STREAM), {"eventSource": "aws:dynamodb", "dynamodb": {}}])),
            &object(json!([{"eventSource": "aws:kinesis", "eventSourceARN": STREAM}])),
            &object(json!([record(&STREAM.replace("1111", "2222"))])),
            &object(json!([record(&STREAM.replace("eu-west-1", "us-east-1"))])),
            &object(json!([record(&STREAM.replace("sessions", "carts"))])),
            &object(json!([record("arn:aws:kinesis:eu-west-1:111111111111:stream/sessions")])),
        ];
        for text in others {
            assert!(event_in(text, &tables()).is_err(), "{text}");
        }
        // An emulator that gives no ARN.
        let by_name = vec![Followed { name: "sessions".to_owned(), arn: None }];
        assert!(event_in(&object(json!([record(STREAM)])), &by_name).is_ok());
        assert!(event_in(&object(json!([record(STREAM)])), &[]).is_err());
    }
}
