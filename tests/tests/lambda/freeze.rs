//! Connections that died while the sandbox was frozen.

use streamdex_testkit::fault::Rule;

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::event;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_meanwhile_is_replaced_within_the_invocation() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    for round in 0..4 {
        let records = bench.stream.put_small(10, &format!("round {round}"));
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "round {round}: {}", sandbox.log());
        assert_eq!(counted(&invocation).told(), "Applied 10", "round {round}");
        bench.index_is_current(&format!("round {round}")).await;
        sandbox.freeze().await;
        bench.front.cut_connections();
        sandbox.thaw().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_dies_at_the_first_use_is_replaced_within_the_invocation() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    for round in 0..4 {
        let records = bench.stream.put_small(10, &format!("round {round}"));
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "round {round}: {}", sandbox.log());
        assert_eq!(counted(&invocation).undecided, 0);
        sandbox.freeze().await;
        // What a load balancer does that has forgotten the connection: a reset, and no answer.
        bench.front.add(Rule::any().times(1).drop_before());
        sandbox.thaw().await;
    }
    bench.front.clear_rules();
    bench.index_is_current("after all rounds").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_sandbox_has_lost_nothing_that_was_answered_for() {
    let Some(mut bench) = Bench::new().await else { return };
    for round in 0..3 {
        let mut sandbox = bench.sandbox().await;
        let records = bench.stream.put_small(10, &format!("round {round}"));
        assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
        sandbox.kill();
        bench.index_is_current(&format!("round {round}")).await;
    }
}
