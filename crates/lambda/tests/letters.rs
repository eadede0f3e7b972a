//! Records that can never be written.

use std::time::Duration;

use serde_json::json;
use streamdex_testkit::fault::FaultServer;

use crate::function::{AMPLE, counted, event, function, invoke, record, record_with, sequence};

fn poisoned() -> Vec<String> {
    let poison = record_with("orders", 2, r#"{"pk":{"S":"k2"},"x":{"WHAT":"?"}}"#);
    vec![record("orders", 1), poison, record("orders", 3)]
}

fn letters_in(path: &std::path::Path) -> String {
    format!("dead_letter = {{ kind = \"file\", path = '{}' }}", path.display())
}

#[tokio::test]
async fn a_bad_record_is_a_letter_and_its_neighbours_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let server = FaultServer::scripted();
    let function = function(&server, &letters_in(&path));
    assert_eq!(invoke(&function, event(&poisoned()), AMPLE).await.unwrap(), None);
    assert_eq!(server.bulk_requests()[0].operations().len(), 2);
    let letters = std::fs::read_to_string(path).unwrap();
    assert_eq!(letters.lines().count(), 1);
    assert!(letters.contains(&sequence(2).unwrap()) && letters.contains("2026-01-01T00:00:00.000"), "{letters}");
}

#[tokio::test]
async fn a_letter_that_cannot_be_stored_is_what_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = FaultServer::scripted();
    let (function, lines) = counted(&server, &letters_in(&folder.path().join("no/such/folder")));
    let answered = invoke(&function, event(&poisoned()), Duration::from_millis(1_200)).await.unwrap();
    assert_eq!(answered, sequence(2));
    // Its neighbours were written all the same.
    assert_eq!(server.bulk_requests()[0].operations().len(), 2);
    let line = lines.lock().unwrap().pop().unwrap();
    assert_eq!((&line["Applied"], &line["Undecided"], &line["Pauses"]), (&json!(2), &json!(1), &json!(1)), "{line}");
}

#[tokio::test]
async fn a_record_without_a_number_is_answered_for_by_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = FaultServer::scripted();
    let function = function(&server, &letters_in(&folder.path().join("no/such/folder")));
    let time = Duration::from_millis(1_200);
    let event_of = |first: &str| event(&[first.to_owned(), "5".to_owned(), record("orders", 4)]);
    assert_eq!(invoke(&function, event_of(&record("orders", 1)), time).await.unwrap(), sequence(1));
    let error = invoke(&function, event_of("6"), time).await.unwrap_err();
    assert!(error.to_string().contains("2 of 3 records"), "{error}");
}
