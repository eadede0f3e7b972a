//! Records that can never be written.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use streamdex_testkit::fault::{BulkOperation, FaultServer, Recorded, Reply, Rule};

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

/// An answer that is busy for `k1`, refuses `k4`, and takes the others.
fn answer(request: &Recorded) -> Reply {
    let item = |operation: BulkOperation| match operation.id() {
        "k1" => {
            json!({ "index": { "status": 429, "error": { "type": "rejected_execution_exception", "reason": "" } } })
        }
        "k4" => {
            let reason = "failed to parse field [n] of type [long]";
            json!({ "index": { "status": 400, "error": { "type": "mapper_parsing_exception", "reason": reason } } })
        }
        _ => json!({ "index": { "status": 200, "result": "updated" } }),
    };
    let items: Vec<_> = request.operations().into_iter().map(item).collect();
    Reply::json(200, json!({ "took": 1, "errors": true, "items": items }).to_string())
}

/// A record that cannot be mapped, and one that its index refuses, beside one that stays blocked.
#[tokio::test]
async fn letters_are_stored_once_although_a_neighbour_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let server = FaultServer::scripted();
    server.add(Rule::bulk().answer_with(answer));
    let function = function(&server, &letters_in(&path));
    let mut records = poisoned();
    records.push(record("orders", 4));
    for _ in 0..2 {
        let answered = invoke(&function, event(&records), Duration::from_millis(1_500)).await.unwrap();
        assert_eq!(answered, sequence(1));
        let letters = std::fs::read_to_string(&path).unwrap();
        let holds = |number| letters.contains(&sequence(number).unwrap());
        assert!(letters.lines().count() == 2 && holds(2) && holds(4), "{letters}");
    }
}

/// Log lines, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_letter_is_logged_once_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("later");
    let server = FaultServer::scripted();
    let function = function(&server, &letters_in(&later.join("letters.ndjson")));
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let logged = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap().matches("letter=").count();
    let time = Duration::from_millis(1_200);
    assert_eq!(invoke(&function, event(&poisoned()), time).await.unwrap(), sequence(2));
    assert_eq!(logged(), 0);
    std::fs::create_dir(later).unwrap();
    assert_eq!(invoke(&function, event(&poisoned()), time).await.unwrap(), None);
    assert_eq!(logged(), 1);
    drop(guard);
}

/// The store has its own time at the end: what is refused by the last answer is stored too.
#[tokio::test]
async fn what_is_refused_when_the_time_is_over_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let server = FaultServer::scripted();
    // The time for sending is over after 1,100 ms; the answer comes within the margin.
    server.add(Rule::bulk().delay(Duration::from_millis(1_180)).answer_with(answer));
    let function = function(&server, &letters_in(&path));
    let records = [record("orders", 3), record("orders", 4)];
    assert_eq!(invoke(&function, event(&records), Duration::from_millis(1_500)).await.unwrap(), None);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}
