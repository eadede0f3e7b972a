use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;

use super::*;

const SHARD: &str = "shardId-00000001";

fn record(number: u32, item: &str) -> Record {
    let json = format!("{{\"dynamodb\":{{\"SequenceNumber\":\"{number}\"}},\"item\":\"{item}\"}}");
    Record { sequence: number.to_string(), item: item.to_owned(), json }
}

/// Ten records of one item, in batches as large as they can be.
fn ten(settings: Settings) -> EventSource {
    let mut source = EventSource::new(settings, 1);
    source.add_shard(SHARD, None);
    (1..=10).for_each(|number| source.add(SHARD, record(number, "a")));
    source
}

fn numbers(records: &[Arc<Record>]) -> Vec<u32> {
    records.iter().map(|record| record.sequence.parse().unwrap()).collect()
}

fn response(text: &str) -> Reply {
    Reply::Response(text.to_owned())
}

fn from(sequence: &str) -> Reply {
    Reply::Response(format!("{{\"batchItemFailures\":[{{\"itemIdentifier\":\"{sequence}\"}}]}}"))
}

/// The first batch of at least `least` records.
fn batch_of(least: usize, settings: &Settings) -> (EventSource, Batch) {
    (0..)
        .find_map(|seed| {
            let mut source = EventSource::new(settings.clone(), seed);
            source.add_shard(SHARD, None);
            (1..=10).for_each(|number| source.add(SHARD, record(number, "a")));
            let batch = source.next_batch().unwrap();
            (batch.records.len() >= least).then_some((source, batch))
        })
        .unwrap()
}

#[test]
fn the_lowest_reported_number_is_the_checkpoint() {
    let (mut source, batch) = batch_of(6, &Settings::default());
    let reported = "{\"batchItemFailures\":[{\"itemIdentifier\":\"5\"},{\"itemIdentifier\":\"3\"}]}";
    source.answered(&batch, &response(reported));
    assert_eq!(numbers(source.acknowledged()), [1, 2]);
    let again = source.next_batch().unwrap();
    assert_eq!(numbers(&again.records), numbers(&batch.records)[2..]);
}

#[test]
fn answers_are_read_as_the_service_reads_them() {
    for done in ["{\"batchItemFailures\":[]}", "{\"batchItemFailures\":null}", "{}", "null"] {
        let (mut source, batch) = batch_of(2, &Settings::default());
        source.answered(&batch, &response(done));
        assert_eq!(numbers(source.acknowledged()), numbers(&batch.records), "{done}");
    }
    let identifier = |text: &str| format!("{{\"batchItemFailures\":[{{\"itemIdentifier\":{text}}}]}}");
    let failed = ["\"\"", "null", "\"77\"", "3"].map(identifier);
    let others = ["{\"batchItemFailures\":[{\"id\":\"3\"}]}", "{\"batchItemFailures\":1}", "no json"];
    for failed in failed.iter().map(String::as_str).chain(others) {
        let (mut source, batch) = batch_of(4, &Settings { bisect_on_error: false, ..Settings::default() });
        source.answered(&batch, &response(failed));
        assert!(source.acknowledged().is_empty(), "{failed}");
        assert_eq!(source.next_batch().unwrap().records, batch.records, "{failed}");
    }
}

#[test]
fn a_failed_batch_is_halved_and_halving_is_no_attempt() {
    let settings = Settings { maximum_retry_attempts: Some(0), ..Settings::default() };
    let (mut source, batch) = batch_of(4, &settings);
    source.answered(&batch, &Reply::Failed);
    let first = source.next_batch().unwrap();
    assert_eq!(first.records, batch.records[..batch.records.len() / 2]);
    source.answered(&first, &response("null"));
    let second = source.next_batch().unwrap();
    assert_eq!(second.records, batch.records[batch.records.len() / 2..]);
    assert!(source.on_failure().is_empty());
}

#[test]
fn used_up_attempts_end_at_the_destination_with_the_event_in_a_string() {
    let settings =
        Settings { maximum_retry_attempts: Some(2), bisect_on_error: false, batch_size: 4, ..Settings::default() };
    let mut source = ten(settings);
    let batch = source.next_batch().unwrap();
    for _ in 0..3 {
        assert!(source.on_failure().is_empty());
        source.answered(&batch, &Reply::Failed);
        if source.on_failure().is_empty() {
            assert_eq!(source.next_batch().unwrap().records, batch.records);
        }
    }
    let given_up = &source.on_failure()[0];
    assert_eq!((&given_up.records, given_up.attempts), (&batch.records, 3));
    let object: serde_json::Value = serde_json::from_str(&given_up.s3_object("arn:of:a:stream")).unwrap();
    assert_eq!(object["payload"], batch.event());
    assert_eq!(object["DDBStreamBatchInfo"]["startSequenceNumber"], "1");
    let next = source.next_batch().unwrap();
    assert_eq!(numbers(&next.records)[0], numbers(&batch.records).last().unwrap() + 1);
}

#[test]
fn a_child_waits_for_its_parent() {
    let mut source = EventSource::new(Settings::default(), 1);
    source.add_shard("parent", None);
    source.add_shard("child", Some("parent"));
    source.add("child", record(2, "a"));
    source.add("parent", record(1, "a"));
    let first = source.next_batch().unwrap();
    assert_eq!(numbers(&first.records), [1]);
    assert!(source.next_batch().is_none());
    source.answered(&first, &response("null"));
    assert_eq!(numbers(&source.next_batch().unwrap().records), [2]);
}

#[test]
fn a_batch_keeps_to_the_limit_of_bytes() {
    let mut source = ten(Settings { batch_bytes: 1, ..Settings::default() });
    let batch = source.next_batch().unwrap();
    assert_eq!(numbers(&batch.records), [1]);
}

/// Whatever is answered, a record comes only when the earlier ones of its item are over or stand before it in the
/// batch, and every record ends once.
#[tokio::test]
async fn order_and_completeness_hold_for_many_seeds() {
    for seed in 0..500 {
        let random = RefCell::new(Rng::with_seed(seed));
        let settings = {
            let mut random = random.borrow_mut();
            Settings {
                batch_size: random.usize(1..20),
                parallelization_factor: random.usize(1..5),
                bisect_on_error: random.bool(),
                maximum_retry_attempts: Some(random.u32(0..4)),
                lost_answers: 20,
                ..Settings::default()
            }
        };
        let mut source = EventSource::new(settings, seed);
        for (shard, parent) in [("1", None), ("2", None), ("3", Some("1"))] {
            source.add_shard(shard, parent);
        }
        let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for number in 0..100 {
            let item = random.borrow_mut().usize(0..9);
            let shard = if item % 2 == 1 { "2" } else { ["1", "3"][usize::from(number >= 50)] };
            let record = record(number, &item.to_string());
            items.entry(record.item.clone()).or_default().push(record.sequence.clone());
            source.add(shard, record);
        }
        // How far each item has come: a batch begins at most one behind what was seen of it.
        let seen: RefCell<BTreeMap<String, usize>> = RefCell::default();
        let invoke = async |batch: Batch| {
            let mut places: BTreeMap<&str, usize> = BTreeMap::new();
            for record in &batch.records {
                let place = items[&record.item].iter().position(|each| *each == record.sequence).unwrap();
                if let Some(before) = places.insert(&record.item, place) {
                    assert_eq!(place, before + 1, "seed {seed}: out of order in a batch");
                }
                let mut seen = seen.borrow_mut();
                let farthest = seen.entry(record.item.clone()).or_default();
                assert!(place <= *farthest, "seed {seed}: a record was passed over");
                *farthest = (*farthest).max(place + 1);
            }
            let mut random = random.borrow_mut();
            match random.u8(0..10) {
                0..4 => response("{\"batchItemFailures\":[]}"),
                4..7 => from(&batch.records[random.usize(0..batch.records.len())].sequence),
                _ => Reply::Failed,
            }
        };
        drain(&mut source, 3, invoke).await;
        let given_up = source.on_failure().iter().flat_map(|failed| &failed.records);
        let mut ended: Vec<u32> =
            source.acknowledged().iter().chain(given_up).map(|r| r.sequence.parse().unwrap()).collect();
        ended.sort_unstable();
        assert_eq!(ended, (0..100).collect::<Vec<u32>>(), "seed {seed}");
    }
}
