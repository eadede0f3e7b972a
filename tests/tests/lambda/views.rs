//! Streams that do not carry the whole item.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use streamdex_testkit::compare::index_documents;
use streamdex_testkit::event_source::Record;
use streamdex_testkit::fault::{FaultServer, Reply, Rule};

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::{event, small};

/// Writes the table and its stream.
async fn changes(bench: &mut Bench) -> Vec<Record> {
    let mut records = Vec::new();
    for place in 0..30 {
        bench.lab.put(small(place, "first")).await;
        records.push(bench.stream.put(small(place, "first")));
        match place % 3 {
            0 => {}
            1 => {
                bench.lab.put(small(place, "second")).await;
                records.push(bench.stream.put(small(place, "second")));
            }
            _ => {
                let mut key = small(place, "");
                records.push(bench.stream.remove(&key));
                key.retain(|name, _| name == "user_id" || name == "session_id");
                bench.lab.delete(key).await;
            }
        }
    }
    records
}

async fn is_followed(view: StreamViewType) {
    let Some(mut bench) = Bench::with_view(view.clone()).await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = changes(&mut bench).await;
    for piece in [&records[..], &records[20..], &records[..10]] {
        let invocation = sandbox.invoke(event(piece), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "{view}: {}", sandbox.log());
        assert_eq!(counted(&invocation).undecided, 0);
        bench.index_is_current(view.as_str()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_keys_is_followed_by_reading_the_items() {
    is_followed(StreamViewType::KeysOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_old_images_is_followed_by_reading_the_items() {
    is_followed(StreamViewType::OldImage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_new_images_is_followed() {
    is_followed(StreamViewType::NewImage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_answer_is_reported_in_time() {
    let Some(mut bench) = Bench::with_view(StreamViewType::KeysOnly).await else { return };
    let table = FaultServer::in_front_of(&bench.dynamodb.endpoint_url());
    bench.reconfigure(&bench.dynamodb.endpoint_url(), &table.url());
    let mut sandbox = bench.sandbox().await;
    let records = changes(&mut bench).await;
    for broken in [Rule::any().hang(), Rule::any().answer(Reply::json(500, "{}"))] {
        table.add(broken);
        let invocation = sandbox.invoke(event(&records), Duration::from_secs(6)).await;
        assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
        assert_eq!(counted(&invocation).undecided, u64::try_from(records.len()).unwrap());
        table.clear_rules();
    }
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    bench.index_is_current("after the table answered again").await;
}

/// The earlier record alone knows that the document was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_moves_twice_is_deleted_where_it_was_first_although_the_answer_did_not_come() {
    let Some(mut bench) = Bench::with_view(StreamViewType::OldImage).await else { return };
    let index = bench.lab.index.clone();
    bench.reconfigure(&format!("index = \"{index}\""), &format!("index = \"{index}-{{note}}\""));
    bench.reconfigure(&format!("[index.\"{index}\"]"), &format!("[index.\"{index}-{{note}}\"]"));
    let mut sandbox = bench.sandbox().await;
    let mut records = Vec::new();
    for place in ["first", "second", "third"] {
        bench.lab.put(small(1, place)).await;
        records.push(bench.stream.put(small(1, place)));
        if place == "first" {
            assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
        }
    }
    let silent = bench.front.add(Rule::bulk().answer(Reply::json(503, "{}")));
    let invocation = sandbox.invoke(event(&records[1..]), Duration::from_secs(4)).await;
    let wanted = wanted_again(&invocation).expect("nothing was written");
    bench.front.remove(silent);
    let from = records.iter().position(|record| record.sequence == wanted).unwrap();
    assert_eq!(wanted_again(&sandbox.invoke(event(&records[from..]), AMPLE).await), None, "{}", sandbox.log());
    for (place, count) in [("first", 0), ("second", 0), ("third", 1)] {
        let found = index_documents(bench.lab.node(), &format!("{index}-{place}")).await;
        assert_eq!(found.len(), count, "{place}: {found:?}");
    }
}
