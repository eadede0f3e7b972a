//! What is sent when a batch comes again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use streamdex_testkit::event_source::{EventSource, Record, Reply, Settings};
use streamdex_testkit::fault::{FaultServer, ItemError, Rule};

use crate::function::{AMPLE, counted, event, function, invoke, orders, raw, record, sequence};

const SHORT: Duration = Duration::from_millis(1_000);

fn busy() -> ItemError {
    ItemError::new(429, "rejected_execution_exception")
}

fn refused() -> ItemError {
    ItemError::new(400, "mapper_parsing_exception").reason("failed to parse field [n] of type [long]")
}

/// The ids that were sent since the last look.
fn sent(server: &FaultServer) -> BTreeSet<String> {
    let requests = server.bulk_requests();
    server.forget_requests();
    requests.iter().flat_map(|request| request.operations()).map(|operation| operation.id().to_owned()).collect()
}

fn keys(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("k{number}")).collect()
}

#[tokio::test]
async fn r5_what_was_decided_behind_a_blocked_record_is_not_sent_again() {
    let server = FaultServer::scripted();
    let (function, lines) = counted(&server, "");
    let blocked = server.add(Rule::bulk().withhold_items(busy(), |_, operation| operation.id() == "k3"));
    assert_eq!(invoke(&function, orders(1..31), SHORT).await.unwrap(), sequence(3));
    assert_eq!(sent(&server), keys(1..31));
    // What is new behind it is sent, and what is old is not.
    assert_eq!(invoke(&function, orders(3..33), SHORT).await.unwrap(), sequence(3));
    assert_eq!(sent(&server), keys([3, 31, 32]));
    server.remove(blocked);
    assert_eq!(invoke(&function, orders(3..33), AMPLE).await.unwrap(), None);
    assert_eq!(sent(&server), keys([3]));
    // Every record of the event is counted, each time.
    for line in lines.lock().unwrap().iter() {
        assert_eq!(line["Records"], 30);
        assert_eq!(line["Applied"].as_u64().unwrap() + line["Undecided"].as_u64().unwrap(), 30, "{line}");
    }
    // It is done: should it come once more, it is sent as ever.
    assert_eq!(invoke(&function, orders(3..5), AMPLE).await.unwrap(), None);
    assert_eq!(sent(&server), keys([3, 4]));
}

/// Other records under the same numbers, as of a table that was made again in an emulator, are not taken for known.
#[tokio::test]
async fn r5_a_record_is_known_by_more_than_its_number() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    let blocked = server.add(Rule::bulk().withhold_items(busy(), |_, operation| operation.id() == "k1"));
    assert_eq!(invoke(&function, orders(1..4), SHORT).await.unwrap(), sequence(1));
    server.remove(blocked);
    server.forget_requests();
    let other_item = record("orders", 2).replace("k2", "other");
    let other_stream = record("orders", 3).replace("2026-01-01", "2026-01-02");
    assert_eq!(invoke(&function, event(&[other_item]), AMPLE).await.unwrap(), None);
    assert_eq!(invoke(&function, event(&[other_stream]), AMPLE).await.unwrap(), None);
    assert_eq!(sent(&server), BTreeSet::from(["other".to_owned(), "k3".to_owned()]));
}

/// The neighbours' acceptance shows whose fault a refusal is, so they are sent again for it.
#[tokio::test]
async fn r5_what_shows_whose_fault_a_refusal_is_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let server = FaultServer::scripted();
    let letters = format!("dead_letter = {{ kind = \"file\", path = '{}' }}", path.display());
    let function = function(&server, &letters);
    let blocked = server.add(Rule::bulk().withhold_items(busy(), |_, operation| operation.id() == "k1"));
    assert_eq!(invoke(&function, orders(1..4), SHORT).await.unwrap(), sequence(1));
    server.remove(blocked);
    server.add(Rule::bulk().withhold_items(refused(), |_, operation| operation.id() == "k1"));
    let mut invocations = 0;
    while invoke(&function, orders(1..4), AMPLE).await.unwrap().is_some() {
        invocations += 1;
        assert!(invocations < 3, "it comes back for ever");
    }
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
}

/// As a source mapping drives the function, with other documents blocked in each invocation: what was accepted is not
/// sent again, and every item ends with its last change.
#[tokio::test]
async fn r5_a_source_mapping_sends_each_accepted_operation_once() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    let accepted = Arc::<Mutex<Vec<(String, u64)>>>::default();
    let blocked = Arc::<Mutex<BTreeSet<String>>>::default();
    let (noted, now_blocked) = (Arc::clone(&accepted), Arc::clone(&blocked));
    server.add(Rule::bulk().withhold_items(busy(), move |_, operation| {
        let withheld = now_blocked.lock().unwrap().contains(operation.id());
        if !withheld {
            noted.lock().unwrap().push((operation.id().to_owned(), operation.version().unwrap()));
        }
        withheld
    }));
    let mut source = EventSource::new(Settings { batch_size: 25, ..Settings::default() }, 7);
    source.add_shard("shard", None);
    let mut last = BTreeMap::new();
    for number in 1..81_u32 {
        // Each item is changed four times, in separate batches and together.
        let key = format!("k{}", number % 20);
        let json = record("orders", number).replace(&format!("\"k{number}\""), &format!("\"{key}\""));
        last.insert(key.clone(), number);
        source.add("shard", Record { sequence: sequence(number).unwrap(), item: key, json });
    }
    let mut random = fastrand::Rng::with_seed(5);
    while let Some(batch) = source.next_batch() {
        *blocked.lock().unwrap() = keys((0..20).filter(|_| random.u8(0..10) < 2));
        let from = invoke(&function, raw(&batch.event()), Duration::from_millis(700)).await.unwrap();
        let failures: Vec<_> = from.into_iter().map(|from| json!({ "itemIdentifier": from })).collect();
        source.answered(&batch, &Reply::Response(json!({ "batchItemFailures": failures }).to_string()));
    }
    assert!(source.is_drained());
    let accepted = accepted.lock().unwrap();
    let once: BTreeSet<_> = accepted.iter().collect();
    assert_eq!(once.len(), accepted.len(), "something was sent again");
    for (key, number) in last {
        let versions = accepted.iter().filter(|(id, _)| *id == key).map(|(_, version)| version);
        // Sequence numbers grow with their record, and so do the versions of one second.
        assert_eq!(versions.max().unwrap() % (1 << 31), u64::from(number), "{key}");
    }
}
