//! Records that can never succeed: one bad record is one bad record, and is kept before it is passed over.

use std::time::Duration;

use streamdex_testkit::event_source::Record;
use streamdex_testkit::fault::{FaultServer, Rule};
use streamdex_testkit::lambda::Sandbox;

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::{altered, event};

const SHORT: Duration = Duration::from_secs(6);
const MIXED: &str = r#""mixed":{"L":[{"N":"1"},{"M":{"a":{"N":"1"}}}]}"#;

/// Ten records, of which the fifth has an attribute of an unknown type and the eighth one that OpenSearch refuses.
fn poisoned(bench: &mut Bench) -> Vec<Record> {
    let mut records = bench.stream.put_small(10, "good");
    records[4] = altered(&records[4], r#""note":{"S":"#, r#""note":{"X":"#);
    records[7] = altered(&records[7], r#""note":{"S":"good"}"#, MIXED);
    for bad in [4, 7] {
        bench.stream.items.remove(&records[bad].item);
    }
    records
}

/// A state table that can be taken away.
pub(crate) fn with_letters_behind(bench: &Bench) -> FaultServer {
    let front = FaultServer::in_front_of(&bench.dynamodb.endpoint_url());
    bench.reconfigure("[state]\n", &format!("[state]\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n", front.url()));
    front
}

/// A sandbox that has asked the state table which indices are known, as it does before its first write.
async fn begun(bench: &mut Bench) -> Sandbox {
    let mut sandbox = bench.sandbox().await;
    let first = sandbox.invoke(event(&bench.stream.put_small(1, "first")), AMPLE).await;
    assert_eq!(wanted_again(&first), None, "{}", sandbox.log());
    sandbox
}

/// The sequence numbers of the letters.
async fn kept(bench: &Bench) -> Vec<String> {
    let letters = bench.letters().await;
    let mut kept: Vec<String> =
        letters.iter().map(|row| row["sk"].as_s().unwrap().split('|').nth(1).unwrap().to_owned()).collect();
    kept.sort_unstable();
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_in_the_middle_is_kept_and_its_neighbours_are_applied() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = poisoned(&mut bench);
    // The second time nothing is doubled.
    for delivery in 0..2 {
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
        assert_eq!(counted(&invocation).told(), "Applied 8, DeadLettered 2", "delivery {delivery}");
        bench.index_is_current(&format!("delivery {delivery}")).await;
        assert_eq!(kept(&bench).await, [records[4].sequence.clone(), records[7].sequence.clone()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_cannot_be_written_is_no_outcome() {
    let Some(mut bench) = Bench::new().await else { return };
    let letters = with_letters_behind(&bench);
    let mut sandbox = begun(&mut bench).await;
    letters.refuse();
    let records = poisoned(&mut bench);
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[4].sequence.clone()), "{}", sandbox.log());
    let first = counted(&invocation);
    assert_eq!((first.told().as_str(), first.undecided), ("Applied 8", 2));
    // Its neighbours were not held back.
    bench.index_is_current("while the state table is away").await;
    letters.accept();
    let again = sandbox.invoke(event(&records[4..]), AMPLE).await;
    assert_eq!(wanted_again(&again), None, "{}", sandbox.log());
    assert_eq!(kept(&bench).await, [records[4].sequence.clone(), records[7].sequence.clone()]);
    bench.index_is_current("after the second delivery").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_table_that_does_not_answer_is_reported_in_time() {
    let Some(mut bench) = Bench::new().await else { return };
    let letters = with_letters_behind(&bench);
    let mut sandbox = begun(&mut bench).await;
    letters.add(Rule::any().hang());
    let records = poisoned(&mut bench);
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[4].sequence.clone()), "{}", sandbox.log());
    assert_eq!(counted(&invocation).undecided, 2);
    bench.index_is_current("while the state table is silent").await;
    letters.clear_rules();
    assert_eq!(wanted_again(&sandbox.invoke(event(&records[4..]), AMPLE).await), None, "{}", sandbox.log());
    assert_eq!(kept(&bench).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_a_number_is_reported_by_the_nearest_before_it() {
    let Some(mut bench) = Bench::new().await else { return };
    let letters = with_letters_behind(&bench);
    let mut sandbox = begun(&mut bench).await;
    let mut records = bench.stream.put_small(6, "good");
    records[3] = altered(&records[3], "\"SequenceNumber\":", "\"NoNumber\":");
    records[3] = altered(&records[3], r#""note":{"S":"#, r#""note":{"X":"#);
    bench.stream.items.remove(&records[3].item);
    letters.refuse();
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[2].sequence.clone()), "{}", sandbox.log());
    // There is none before it: the whole batch must come again, which only a failure says without losing it.
    let unnamed = sandbox.invoke(event(&records[3..]), SHORT).await;
    let error = unnamed.answer.error();
    assert!(error.message.contains("1 of 3 records") && error.message.contains("hint"), "{error:?}");
    counted(&unnamed);
    letters.accept();
    let again = sandbox.invoke(event(&records[3..]), AMPLE).await;
    assert_eq!(wanted_again(&again), None, "{}", sandbox.log());
    assert_eq!(counted(&again).outcomes["DeadLettered"], 1);
    assert_eq!(bench.letters().await.len(), 1);
    bench.index_is_current("after all").await;
}
