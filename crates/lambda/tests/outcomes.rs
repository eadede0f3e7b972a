//! What is answered.

use std::time::{Duration, Instant};

use serde_json::json;
use streamdex_lambda::error::InvocationError;
use streamdex_testkit::fault::{FaultServer, ItemError, Reply, Rule};

use crate::function::{
    AMPLE, counted, event, function, function_of, invoke, orders, raw, record, record_with, sequence,
};

const SHORT: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_batch_that_is_written_is_done() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    assert_eq!(invoke(&function, orders(1..51), AMPLE).await.unwrap(), None);
    let requests = server.bulk_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].operations().len(), 50);
    // No probe, no set-up: nothing else was asked.
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_event_without_records_asks_nothing() {
    let server = FaultServer::scripted();
    assert_eq!(invoke(&function(&server, ""), event(&[]), AMPLE).await.unwrap(), None);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn refused_items_are_sent_again_while_there_is_time() {
    let server = FaultServer::scripted();
    let full = || ItemError::new(429, "rejected_execution_exception");
    server.add(Rule::bulk().times(2).withhold_items(full(), |position, _| position % 3 == 0));
    let function = function(&server, "");
    assert_eq!(invoke(&function, orders(1..31), AMPLE).await.unwrap(), None);
    server.add(Rule::bulk().withhold_items(full(), |_, operation| operation.id() == "k7"));
    assert_eq!(invoke(&function, orders(1..31), SHORT).await.unwrap(), sequence(7));
}

#[tokio::test]
async fn a_whole_refusal_asks_for_all_again() {
    let server = FaultServer::scripted();
    server.add(Rule::bulk().answer(Reply::html(503, "busy")));
    let (function, lines) = counted(&server, "");
    let began = Instant::now();
    assert_eq!(invoke(&function, orders(5..9), SHORT).await.unwrap(), sequence(5));
    // It used its time, and kept what the answer needs.
    assert!(began.elapsed() < SHORT, "{:?}", began.elapsed());
    assert!(server.bulk_requests().len() > 1);
    let line = lines.lock().unwrap().pop().unwrap();
    assert_eq!((&line["Table"], &line["Records"], &line["Undecided"]), (&json!("orders"), &json!(4), &json!(4)));
    assert!(line["Retries"].as_u64() >= Some(4) && line["Bytes"].as_u64() > Some(0), "{line}");
    assert_eq!(line["Pauses"], line["Pauses.gateway"]);
}

/// As a node with `rest.action.multi.allow_explicit_index: false` answers.
#[tokio::test]
async fn a_cluster_that_refuses_every_request_makes_no_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let letters = format!("dead_letter = {{ kind = \"file\", path = '{}' }}", path.display());
    let server = FaultServer::scripted();
    let refused = r#"{"error":{"type":"illegal_argument_exception","reason":"explicit index in bulk is not allowed"},"status":400}"#;
    let rule = server.add(Rule::bulk().answer(Reply::json(400, refused)));
    let (function, lines) = counted(&server, &letters);
    // A cold start, and two more batches of the same sandbox.
    for _ in 0..3 {
        assert_eq!(invoke(&function, orders(1..31), SHORT).await.unwrap(), sequence(1));
        let line = lines.lock().unwrap().pop().unwrap();
        assert_eq!((&line["DeadLettered"], &line["Undecided"]), (&json!(0), &json!(30)), "{line}");
    }
    assert!(!path.exists(), "a dead letter was stored");
    server.remove(rule);
    assert_eq!(invoke(&function, orders(1..31), AMPLE).await.unwrap(), None);
    assert!(!path.exists());
}

#[tokio::test]
async fn each_source_has_its_own_routes() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    assert_eq!(invoke(&function, event(&[record("carts", 1)]), AMPLE).await.unwrap(), None);
    assert_eq!(server.bulk_requests()[0].operations()[0].index(), "carts");
    let error = invoke(&function, event(&[record("unknown", 1)]), AMPLE).await.unwrap_err();
    assert!(error.to_string().contains("\"unknown\"") && error.to_string().contains("orders, carts"), "{error}");
}

/// There is no table to read the item from, so nothing can be decided.
#[tokio::test]
async fn undecided_records_fail_what_is_no_source_mapping() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    for text in
        [format!("[{}]", record("orders", 1)), format!(r#"{{"payload":{}}}"#, String::from_utf8_lossy(&orders(1..3)))]
    {
        let error = invoke(&function, raw(&text), SHORT).await.unwrap_err();
        assert!(matches!(error, InvocationError::Undecided { .. }), "{error}");
        assert!(error.to_string().contains("BatchGetItem"), "{error}");
    }
    assert!(server.requests().is_empty());
}

/// A record whose key attributes are others than the table's, as `{"sk": …}`.
fn odd(number: u32) -> String {
    record("orders", number).replace(r#""Keys":{"pk""#, r#""Keys":{"sk""#)
}

#[tokio::test]
async fn a_record_with_other_key_names_does_not_hold_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let letters = format!("dead_letter = {{ kind = \"file\", path = '{}' }}", path.display());
    let server = FaultServer::scripted();
    let (function, lines) = counted(&server, &letters);
    let error = invoke(&function, event(&[odd(1)]), AMPLE).await.unwrap_err();
    assert_eq!(error.name(), "Configuration");
    let records = [odd(1), record("orders", 2), record("orders", 3)];
    assert_eq!(invoke(&function, event(&records), AMPLE).await.unwrap(), None);
    // The sandbox has learned that the configuration is right.
    assert_eq!(invoke(&function, event(&[odd(4)]), AMPLE).await.unwrap(), None);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
    let line = lines.lock().unwrap().first().cloned().unwrap();
    assert_eq!((&line["Applied"], &line["DeadLettered"]), (&json!(2), &json!(1)), "{line}");
}

#[tokio::test]
async fn d3_steps_back_of_creation_times_are_counted_and_the_later_change_is_written() {
    let server = FaultServer::scripted();
    let (function, lines) = counted(&server, "");
    let later = record("orders", 1).replace(r#""N":"1""#, r#""N":"77""#);
    let later = later.replace("1700000000", "1699999990").replace(r#""SequenceNumber":"1"#, r#""SequenceNumber":"2"#);
    assert_eq!(invoke(&function, event(&[record("orders", 1), later]), AMPLE).await.unwrap(), None);
    let requests = server.bulk_requests();
    assert_eq!(requests[0].operations().len(), 1);
    assert!(requests[0].text().contains(r#""n":77"#), "{}", requests[0].text());
    let line = lines.lock().unwrap().pop().unwrap();
    assert_eq!((&line["CreationTimeBackwards"], &line["Coalesced"]), (&json!(1), &json!(1)), "{line}");
}

/// The deactivated item would stay in the index, without a word.
#[tokio::test]
async fn a_stream_that_cannot_serve_a_route_fails_the_invocation() {
    let server = FaultServer::scripted();
    let function = function_of(
        &server,
        r#"{ source = "orders", index = "orders", id = ["pk"], when = { attribute = "active", equals = true } }"#,
    );
    let named = |view: &str| {
        let view = format!("\"StreamViewType\":\"{view}\",\"Keys\"");
        event(&[record("orders", 1).replace("\"Keys\"", &view)])
    };
    for view in ["NEW_IMAGE", "KEYS_ONLY"] {
        let error = invoke(&function, named(view), AMPLE).await.unwrap_err();
        assert_eq!(error.name(), "Configuration");
        assert!(error.to_string().contains(view) && error.hint().contains("NEW_AND_OLD_IMAGES"), "{error}");
    }
    assert!(server.requests().is_empty());
    for view in ["NEW_AND_OLD_IMAGES", "LATER"] {
        assert_eq!(invoke(&function, named(view), AMPLE).await.unwrap(), None, "{view}");
    }
}

/// A writer lives as long as its invocation; what it learned of the cluster lives as long as the sandbox.
#[tokio::test]
async fn what_one_invocation_learned_the_next_one_knows() {
    let server = FaultServer::scripted();
    let too_large = Rule::when(|request| request.is_bulk() && request.text().len() > 100_000);
    let too_large = server.add(too_large.answer(Reply::json(413, "{}")));
    let function = function(&server, "");
    let large = |number: u32| {
        let image = format!(r#"{{"pk":{{"S":"k{number}"}},"text":{{"S":"{}"}}}}"#, "x".repeat(10_000));
        record_with("orders", number, &image)
    };
    let batch = |numbers: std::ops::Range<u32>| event(&numbers.map(large).collect::<Vec<_>>());
    assert_eq!(invoke(&function, batch(1..41), AMPLE).await.unwrap(), None);
    let learned = server.hits(too_large);
    assert!(learned > 0, "{learned}");
    assert_eq!(invoke(&function, batch(41..81), AMPLE).await.unwrap(), None);
    assert_eq!(server.hits(too_large), learned, "a limit that was known is met again");
}
