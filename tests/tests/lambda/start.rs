//! A sandbox connects to OpenSearch before it asks for an event, and asks for events all the same where it cannot.

use streamdex_testkit::fault::{Reply, Rule};

use super::function::{AMPLE, Bench, EMPTY, wanted_again};
use super::stream::event;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_connects_before_the_first_event() {
    let Some(bench) = Bench::new().await else { return };
    let sandbox = bench.sandbox().await;
    assert!(sandbox.asked_for_next(AMPLE).await, "{}", sandbox.log());
    let asked: Vec<String> = bench.front.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(asked, ["GET /"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_before_the_first_event_costs_no_record() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    assert!(sandbox.asked_for_next(AMPLE).await, "{}", sandbox.log());
    bench.front.cut_connections();
    let reset = bench.front.add(Rule::any().times(1).drop_before());
    let records = bench.stream.put_small(3, "first");
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    assert_eq!(bench.front.hits(reset), 1);
    bench.index_is_current("after the first event").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_cannot_connect_asks_for_events_and_tells_no_error() {
    let Some(mut bench) = Bench::new().await else { return };
    let refusal = || Reply::json(403, r#"{"status":403,"error":"no permissions for [cluster:monitor/main]"}"#);
    let rules = [Rule::any().hang(), Rule::any().drop_before(), Rule::any().answer(refusal())];
    for (round, rule) in rules.into_iter().enumerate() {
        let rule = bench.front.add(rule);
        let mut sandbox = bench.sandbox().await;
        assert!(sandbox.asked_for_next(AMPLE).await, "{}", sandbox.log());
        assert_eq!(wanted_again(&sandbox.invoke(EMPTY, AMPLE).await), None);
        assert_eq!((sandbox.init_error(), sandbox.log().contains("ERROR")), (None, false), "{}", sandbox.log());
        bench.front.remove(rule);
        let records = bench.stream.put_small(3, &format!("round {round}"));
        assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
        bench.index_is_current("once it answers").await;
    }
}
