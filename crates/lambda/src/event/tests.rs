use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamdex_config::Config;
use streamdex_delivery::page::Fate;

use super::*;

const ARN: &str = "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/2026-01-01T00:00:00.000";

fn capturer() -> Capturer {
    let text = r#"
        source = { table = "orders" }
        opensearch = { url = "http://127.0.0.1:9200" }
        route = [{ index = "orders" }]
    "#;
    Capturer::new(&Config::parse(text, Path::new(""), &|_| None).unwrap().config)
}

fn ample() -> Intake {
    Intake::until(Instant::now() + Duration::from_secs(60), Arc::default())
}

fn record(key: &str, arn: Option<&str>) -> String {
    let arn = arn.map(|arn| format!(r#","eventSourceARN":"{arn}""#)).unwrap_or_default();
    let image = format!(r#"{{"pk":{{"S":"{key}"}}}}"#);
    format!(
        r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{{"ApproximateCreationDateTime":1700000000,
        "Keys":{image},"NewImage":{image},"SequenceNumber":"7"}}{arn}}}"#
    )
}

fn form(text: &str) -> (Form, Vec<Fate>) {
    let event = read(&capturer(), &ample(), text).unwrap();
    let fates = event.capture.pages.into_values().flat_map(|page| page.into_parts().1).collect();
    (event.form, fates)
}

fn refusal(text: &str) -> EventError {
    let error = read(&capturer(), &ample(), text).unwrap_err();
    assert!(!error.hint().is_empty());
    error
}

#[test]
fn events_of_a_source_mapping_are_written_from_their_images() {
    let (a, b) = (record("a", Some(ARN)), record("b", Some(ARN)));
    assert_eq!(form(&format!(r#"{{"Records":[{a},{b}]}}"#)), (Form::SourceMapping, vec![Fate::Sent, Fate::Sent]));
    assert_eq!(form(&format!(r#" {{ "x": 1, "Records":[{a}]}}"#)), (Form::SourceMapping, vec![Fate::Sent]));
    assert_eq!(form(r#"{"Records":[]}"#), (Form::SourceMapping, vec![]));
    // A record that cannot be read says nothing of where the others come from.
    let (of, fates) = form(&format!(r#"{{"Records":[5,{a}]}}"#));
    assert_eq!((of, &fates[1]), (Form::SourceMapping, &Fate::Sent));
}

#[test]
fn everything_else_is_read_from_the_table() {
    let (a, nameless) = (record("a", Some(ARN)), record("b", None));
    let other = record("c", Some(&ARN.replace("2026", "2027")));
    let escaped = serde_json::to_string(&format!(r#"{{"Records":[{a}]}}"#)).unwrap();
    let texts = [
        a.clone(),
        format!("[{a}]"),
        format!(r#"{{"Records":[{nameless}]}}"#),
        format!(r#"{{"Records":[{a},{nameless}]}}"#),
        format!(r#"{{"Records":[{a},{other}]}}"#),
        format!(r#"{{"requestContext":{{}},"payload":{escaped}}}"#),
        format!(r#"{{"payload":{{"Records":[{a}]}}}}"#),
    ];
    for text in texts {
        let (form, fates) = form(&text);
        assert_eq!(form, Form::ByHand, "{text}");
        assert!(fates.iter().all(|fate| *fate == Fate::Fetch), "{text}: {fates:?}");
    }
}

#[test]
fn what_holds_no_stream_records_is_refused() {
    let console = r#"{"key1":"value1","key2":"value2","key3":"value3"}"#;
    for text in [
        console,
        "{}",
        "null",
        "\"text\"",
        "7",
        r#"{"Records":5}"#,
        r#"{"Records":[{"a":1}]}"#,
        "[7]",
        r#"{"payload":"{\"payload\":\"{}\"}"}"#,
    ] {
        let error = refusal(text);
        assert!(matches!(error, EventError::NoEvent), "{text}: {error}");
        assert!(error.to_string().contains("Records"), "{error}");
    }
    assert!(matches!(refusal(r#"{"Items":[{"pk":{"S":"a"}}]}"#), EventError::Items));
    let error = refusal(r#"{"requestContext":{},"DDBStreamBatchInfo":{"shardId":"s"}}"#);
    assert!(error.hint().contains("S3"), "{error}");
}

#[test]
fn a_window_is_refused_even_with_records() {
    let a = record("a", Some(ARN));
    for text in [
        format!(r#"{{"Records":[{a}],"shardId":"s","eventSourceARN":"{ARN}","window":{{}},"state":{{}}}}"#),
        r#"{"window":{},"state":{},"shardId":"s","Records":[],"isFinalInvokeForWindow":true}"#.to_owned(),
    ] {
        assert!(refusal(&text).to_string().contains("tumbling window"));
    }
}

#[test]
fn other_services_are_named() {
    let events = [
        (
            "aws:sqs",
            r#"{"Records":[{"messageId":"1","body":"{}","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:q"}]}"#,
        ),
        (
            "aws:kinesis",
            r#"{"Records":[{"kinesis":{"data":"eA=="},"eventSource":"aws:kinesis","eventName":"aws:kinesis:record"}]}"#,
        ),
        ("aws:sns", r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"x"}}]}"#),
        (
            "aws:s3",
            r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"object":{"key":"k"}}}]}"#,
        ),
    ];
    for (service, text) in events {
        let error = refusal(text);
        assert!(matches!(&error, EventError::OtherService(found) if found == service), "{text}: {error}");
    }
}

#[test]
fn the_sample_of_the_console_names_its_table() {
    let sample = record(
        "a",
        Some("arn:aws:dynamodb:us-west-2:account-id:table/ExampleTableWithTimeStream/stream/2015-06-27T00:48:05.899"),
    );
    let error = refusal(&format!(r#"{{"Records":[{sample}]}}"#));
    let text = error.to_string();
    assert!(text.contains("ExampleTableWithTimeStream") && text.contains("orders"), "{text}");
    assert_eq!(error.name(), "UnknownTable");
}

/// What took too long is asked for again; what was mapped is delivered.
#[test]
fn what_is_not_mapped_in_time_is_postponed() {
    let (a, nameless) = (record("a", Some(ARN)), record("b", None));
    for (text, form) in [
        (format!(r#"{{"Records":[{a},5,{a},{a}]}}"#), Form::SourceMapping),
        (format!(r#"{{"Records":[{nameless},5,{a},{a}]}}"#), Form::ByHand),
    ] {
        let late = Intake::until(Instant::now(), Arc::default());
        let mut event = read(&capturer(), &late, &text).unwrap();
        assert_eq!((event.form, event.postponed), (form, 3));
        let page = event.capture.pages.remove(&0).unwrap();
        assert_eq!((page.len(), page.refused()), (4, 0));
        let (operations, fates) = page.into_parts();
        let first = if form == Form::SourceMapping { Fate::Sent } else { Fate::Fetch };
        assert_eq!((operations.len(), &fates[0]), (usize::from(form == Form::SourceMapping), &first));
    }
}

#[test]
fn a_stream_that_cannot_serve_a_route_is_refused_however_its_records_come() {
    let text = r#"
        source = { table = "orders" }
        opensearch = { url = "http://127.0.0.1:9200" }
        route = [{ index = "orders", when = { attribute = "active", equals = true } }]
    "#;
    let capturer = Capturer::new(&Config::parse(text, Path::new(""), &|_| None).unwrap().config);
    let named = record("a", Some(ARN)).replace("\"Keys\"", "\"StreamViewType\":\"NEW_IMAGE\",\"Keys\"");
    let payload = serde_json::to_string(&format!(r#"{{"Records":[{named}]}}"#)).unwrap();
    let events = [format!(r#"{{"Records":[{named}]}}"#), format!("[{named}]"), format!(r#"{{"payload":{payload}}}"#)];
    for event in events {
        let error = read(&capturer, &ample(), &event).unwrap_err();
        assert_eq!(error.name(), "Configuration", "{event}");
        assert!(error.to_string().contains("NEW_IMAGE") && error.hint().contains("NEW_AND_OLD_IMAGES"), "{error}");
    }
}

/// The runtime looks at no event before the mapping does.
#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let good = record("a", Some(ARN));
    for (body, line, column) in [
        (format!("{{\"Records\":[{good},\n{{]}}").into_bytes(), 3, 2),
        (b"{\"Records\":[\n\"\xff\"]}".to_vec(), 2, 2),
        (Vec::new(), 1, 0),
    ] {
        let error = read_bytes(&capturer(), &ample(), &body).unwrap_err();
        assert_eq!(error.name(), "UnknownEvent");
        assert!(error.to_string().contains(&format!("line {line} column {column}")), "{error}");
    }
}
