//! OpenSearch refuses, stumbles and stops in the middle.

use std::time::Duration;

use streamdex_testkit::fault::{ItemError, Reply, Rule};

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::{event, small};

/// For what is to end at the deadline.
const SHORT: Duration = Duration::from_secs(6);

fn busy() -> ItemError {
    ItemError::new(429, "rejected_execution_exception")
}

fn unavailable() -> Reply {
    Reply::html(503, "<html><body><h1>503 Service Unavailable</h1></body></html>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_are_throttled_are_sent_again_and_no_others() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let throttled = bench.front.add(Rule::bulk().times(3).withhold_items(busy(), |place, _| place % 3 == 1));
    let records = bench.stream.put_small(30, "throttled");
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    assert_eq!(bench.front.hits(throttled), 3);
    bench.index_is_current("after the throttling").await;
    let sent: Vec<usize> = bench.front.bulk_requests().iter().map(|request| request.operations().len()).collect();
    assert_eq!((sent[0], sent[1]), (30, 10), "only what failed: {sent:?}");
    let counted = counted(&invocation);
    assert_eq!(counted.told(), "Applied 30");
    assert!(counted.line["Retries"].as_u64().unwrap() >= 10, "{}", counted.line);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_stay_throttled_are_reported_by_the_first_of_them() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let stays = |id: &str| id.starts_with("user-000007") || id.starts_with("user-000012");
    bench.front.add(Rule::bulk().withhold_items(busy(), move |_, operation| stays(operation.id())));
    let records = bench.stream.put_small(20, "throttled");
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[7].sequence.clone()), "{}", sandbox.log());
    let first = counted(&invocation);
    assert_eq!((first.told().as_str(), first.undecided), ("Applied 18", 2));
    bench.front.clear_rules();
    let again = sandbox.invoke(event(&records[7..]), AMPLE).await;
    assert_eq!(wanted_again(&again), None, "{}", sandbox.log());
    bench.index_is_current("after the second delivery").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_refused_as_a_whole_is_sent_again() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    bench.front.add(Rule::bulk().times(2).answer(unavailable()));
    let records = bench.stream.put_small(30, "refused as a whole");
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    assert_eq!(counted(&invocation).told(), "Applied 30");
    bench.index_is_current("after two refusals").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_every_request_reports_the_first_record() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    bench.front.add(Rule::bulk().answer(unavailable()));
    let records = bench.stream.put_small(30, "refused for good");
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
    assert_eq!(counted(&invocation).undecided, 30);
    bench.front.clear_rules();
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None);
    bench.index_is_current("after the second delivery").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_down_at_the_first_event_reports_the_first_record() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.front.refuse();
    let mut sandbox = bench.sandbox().await;
    let records = bench.stream.put_small(3, "nobody there");
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
    assert_eq!(counted(&invocation).undecided, 3);
    bench.front.accept();
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    bench.index_is_current("after the node came up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_lose_nothing() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let breaks =
        [Rule::bulk().nth(1).cut_answer(40), Rule::bulk().nth(1).drop_after(), Rule::bulk().nth(1).drop_before()];
    for (round, broken) in breaks.into_iter().enumerate() {
        let rule = bench.front.add(broken);
        let mut records = bench.stream.put_small(30, &format!("round {round}"));
        records.push(bench.stream.remove(&small(3, "")));
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "round {round}: {}", sandbox.log());
        assert_eq!(bench.front.hits(rule), 1);
        assert_eq!(counted(&invocation).undecided, 0);
        bench.index_is_current(&format!("round {round}")).await;
        bench.front.clear_rules();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_have_nothing_in_common_go_out_at_once() {
    let Some(mut bench) = Bench::new().await else { return };
    bench.configure("max_batch_operations = 10\nmax_concurrent_requests = 4", "");
    let mut sandbox = bench.sandbox().await;
    let warm = bench.stream.put_small(1, "warm");
    assert_eq!(wanted_again(&sandbox.invoke(event(&warm), AMPLE).await), None, "{}", sandbox.log());
    bench.front.forget_requests();
    // None is answered before a second one has come.
    let held = bench.front.add(Rule::bulk().delay(Duration::from_secs(2)));
    let records = bench.stream.put_small(40, "wide");
    let invoked = sandbox.invoke(event(&records), AMPLE);
    let two_wait = bench.front.wait_until(
        |requests| requests.iter().filter(|request| request.is_bulk() && request.status.is_none()).count() >= 2,
        AMPLE,
    );
    let (invocation, two) = tokio::join!(invoked, two_wait);
    assert!(two, "requests went out one by one: {}", bench.front.hits(held));
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    bench.index_is_current("after all").await;
    let mut ids: Vec<String> =
        bench.front.bulk_requests().iter().flat_map(|r| r.operations()).map(|o| o.id().to_owned()).collect();
    ids.sort_unstable();
    let sent = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), sent, "a document was in two requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_index_and_refused_credentials_are_pauses_with_their_reason() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let warm = bench.stream.put_small(1, "warm");
    assert_eq!(wanted_again(&sandbox.invoke(event(&warm), AMPLE).await), None, "{}", sandbox.log());
    let blocked = ItemError::new(403, "cluster_block_exception");
    let refused = r#"{"error":{"type":"security_exception","reason":"no permissions"},"status":403}"#;
    for (reason, rule) in [
        ("read_only", Rule::bulk().withhold_items(blocked, |_, _| true)),
        ("forbidden", Rule::bulk().answer(Reply::json(403, refused))),
        ("credentials_refused", Rule::bulk().answer(Reply::html(401, "Unauthorized"))),
    ] {
        let rule = bench.front.add(rule);
        let records = bench.stream.put_small(5, reason);
        let invocation = sandbox.invoke(event(&records), SHORT).await;
        assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
        let line = counted(&invocation).line;
        assert!(line["Pauses"].as_u64().unwrap() >= 1 && line[format!("Pauses.{reason}")].is_u64(), "{reason}: {line}");
        bench.front.remove(rule);
        assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
        bench.index_is_current(reason).await;
    }
}
