//! Indices that vanish are gaps: they are named, and neither made again nor written to.

use std::time::{Duration, Instant};

use opensearch::http::Method;

use super::function::{AMPLE, Bench, wanted_again};
use super::letters::with_letters_behind;
use super::stream::event;

const SHORT: Duration = Duration::from_secs(6);

/// The UUIDs are looked at once a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_index_is_named_within_about_a_minute_and_its_impostor_is_left_alone() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = bench.stream.put_small(5, "before");
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    assert_eq!(bench.lab.ask(Method::Delete, &bench.lab.concrete()).await.0, 200);
    // What OpenSearch makes of a write to no index.
    let begun = Instant::now();
    let wanted = loop {
        let records = bench.stream.put_small(1, &format!("after {:?}", begun.elapsed()));
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        if let Some(wanted) = wanted_again(&invocation) {
            assert_eq!(wanted, records[0].sequence);
            break wanted;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "not noticed: {}", sandbox.log());
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let log = sandbox.log();
    assert!(log.contains(&bench.lab.concrete()) && log.contains(&wanted), "{log}");
    bench.front.forget_requests();
    let records = bench.stream.put_small(1, "still");
    assert!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await).is_some());
    assert_eq!(bench.front.bulk_requests().len(), 0, "written to the impostor");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_sandbox_does_not_make_a_vanished_index_again() {
    let Some(mut bench) = Bench::new().await else { return };
    let records = bench.stream.put_small(5, "before");
    let mut first = bench.sandbox().await;
    assert_eq!(wanted_again(&first.invoke(event(&records), AMPLE).await), None, "{}", first.log());
    first.kill();
    let concrete = bench.lab.concrete();
    assert_eq!(bench.lab.ask(Method::Delete, &concrete).await.0, 200);
    let records = bench.stream.put_small(2, "after");
    let mut second = bench.sandbox().await;
    let invocation = second.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", second.log());
    assert!(second.log().contains(&concrete), "{}", second.log());
    assert_eq!(bench.lab.ask(Method::Head, &concrete).await.0, 404, "made again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_before_the_state_table_says_what_is_known() {
    let Some(mut bench) = Bench::new().await else { return };
    let state = with_letters_behind(&bench);
    state.refuse();
    let mut sandbox = bench.sandbox().await;
    let records = bench.stream.put_small(2, "first");
    let invocation = sandbox.invoke(event(&records), SHORT).await;
    assert_eq!(wanted_again(&invocation), Some(records[0].sequence.clone()), "{}", sandbox.log());
    assert_eq!(bench.front.bulk_requests().len(), 0);
    state.accept();
    assert_eq!(wanted_again(&sandbox.invoke(event(&records), AMPLE).await), None, "{}", sandbox.log());
    bench.index_is_current("once it answers").await;
}
