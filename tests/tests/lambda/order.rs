//! Batches that come again, whole, in pieces and at the same time, and changes that undo each other.

use std::collections::BTreeMap;

use streamdex_testkit::compare::index_documents;
use streamdex_testkit::event_source::Record;
use streamdex_testkit::lambda::Sandbox;

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::{Stream, event, id, small};

async fn deliver(sandbox: &mut Sandbox, records: &[Record]) -> String {
    let invocation = sandbox.invoke(event(records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    counted(&invocation).told()
}

/// Puts, changes and deletes of few items.
fn busy(stream: &mut Stream) -> Vec<Record> {
    let mut records = stream.put_small(12, "first");
    for round in 0..3 {
        records.extend((0..12).filter(|place| place % 3 == round).map(|place| stream.remove(&small(place, ""))));
        stream.later(round.into());
        records.extend((0..6).map(|place| stream.put(small(place, &format!("round {round}")))));
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_change_of_an_item_in_a_batch_wins() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let stream = &mut bench.stream;
    // All in one second.
    let mut records = vec![stream.put(small(1, "to go")), stream.put(small(2, "to come back"))];
    records.extend([stream.remove(&small(2, "")), stream.put(small(2, "back"))]);
    records.extend([stream.put(small(3, "short")), stream.remove(&small(3, ""))]);
    records.push(stream.remove(&small(1, "")));
    deliver(&mut sandbox, &records).await;
    bench.index_is_current("REMOVE and INSERT, INSERT and REMOVE in one batch").await;
    let stream = &mut bench.stream;
    // The same across batches.
    let back = stream.put(small(1, "back again"));
    deliver(&mut sandbox, &[back]).await;
    let gone = bench.stream.remove(&small(1, ""));
    deliver(&mut sandbox, &[gone]).await;
    bench.index_is_current("across batches").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_comes_twice_changes_nothing() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = busy(&mut bench.stream);
    for delivery in 0..3 {
        deliver(&mut sandbox, &records).await;
        bench.index_is_current(&format!("delivery {delivery}")).await;
    }
    let mut another = bench.sandbox().await;
    deliver(&mut another, &records).await;
    bench.index_is_current("in another sandbox").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_pieces_of_a_batch_end_the_same() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = busy(&mut bench.stream);
    let half = records.len() / 2;
    // The whole, from a reported number on, and what a bisection makes of that.
    let pieces =
        [0..records.len(), half..records.len(), 0..half, half..records.len(), 3..half + 4, half - 2..records.len()];
    for piece in pieces {
        deliver(&mut sandbox, &records[piece]).await;
    }
    bench.index_is_current("after all pieces").await;
    // An old piece alone never undoes what came behind it.
    let told_of = deliver(&mut sandbox, &records[..half]).await;
    bench.index_is_current(&format!("after an old piece: {told_of}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sandboxes_on_the_same_records_end_the_same() {
    let Some(mut bench) = Bench::new().await else { return };
    let (mut one, mut two) = (bench.sandbox().await, bench.sandbox().await);
    for round in 0..5_usize {
        let mut records = Vec::new();
        for place in 0..12 {
            if bench.stream.items.contains_key(&id(&small(place, ""))) {
                records.push(bench.stream.remove(&small(place, "")));
            }
        }
        records.extend(busy(&mut bench.stream));
        bench.stream.later(1);
        let (first, second) = (event(&records[..records.len() - round]), event(&records[round * 3..]));
        let (first, second) = tokio::join!(one.invoke(first, AMPLE), two.invoke(second, AMPLE));
        for invocation in [&first, &second] {
            assert_eq!(wanted_again(invocation), None, "round {round}: {}{}", one.log(), two.log());
            counted(invocation);
        }
        bench.index_is_current(&format!("round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_is_archived_and_a_new_sign_in_of_the_same_key_lives() {
    let Some(mut bench) = Bench::new().await else { return };
    let archive = format!("{}-expired", bench.lab.index);
    bench.reconfigure(
        "ttl = { attribute = \"expires_at\" }",
        &format!("ttl = {{ attribute = \"expires_at\", on_expiry = \"archive\", archive_index = \"{archive}\" }}"),
    );
    bench.append(&format!("[index.\"{archive}\"]\nsettings = {{ number_of_replicas = 0 }}"));
    let mut sandbox = bench.sandbox().await;
    let first = bench.stream.put_small(2, "first session");
    deliver(&mut sandbox, &first).await;
    bench.stream.later(60);
    let expired_at = bench.stream.time();
    let key = small(0, "");
    let records = [bench.stream.expire(&key), bench.stream.put(small(0, "second session"))];
    for delivery in 0..2 {
        deliver(&mut sandbox, &records).await;
        bench.index_is_current(&format!("delivery {delivery}")).await;
        let archived: BTreeMap<String, String> = index_documents(bench.lab.node(), &archive).await;
        let (archived_id, document) = archived.first_key_value().expect("an archived copy");
        assert_eq!((archived.len(), archived_id), (1, &format!("{}|{expired_at}", id(&key))), "{archived:?}");
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["note"], "first session", "{document}");
        assert!(!document["expired_at"].is_null(), "{document}");
    }
    // An expiry alone: archived, and gone.
    let expiry = bench.stream.expire(&small(1, ""));
    deliver(&mut sandbox, &[expiry]).await;
    bench.index_is_current("an expiry").await;
    assert_eq!(index_documents(bench.lab.node(), &archive).await.len(), 2);
}
