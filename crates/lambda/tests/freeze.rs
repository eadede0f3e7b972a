//! What is left behind when an invocation is answered, and what the next one finds.

use std::time::{Duration, Instant};

use streamdex_testkit::fault::{FaultServer, Rule};
use tokio::runtime::Handle;

use crate::function::{AMPLE, function, invoke, orders, sequence};

const SHORT: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_connection_that_died_meanwhile_costs_no_invocation() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    for round in 1..6 {
        assert_eq!(invoke(&function, orders(round..round + 3), AMPLE).await.unwrap(), None);
        server.cut_connections();
    }
    server.add(Rule::bulk().times(1).drop_before());
    assert_eq!(invoke(&function, orders(1..3), AMPLE).await.unwrap(), None);
}

#[tokio::test]
async fn silence_is_given_up_in_time_to_answer() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    let hang = server.add(Rule::bulk().hang());
    let began = Instant::now();
    assert_eq!(invoke(&function, orders(1..4), SHORT).await.unwrap(), sequence(1));
    assert!(began.elapsed() < SHORT, "{:?}", began.elapsed());
    server.remove(hang);
    assert_eq!(invoke(&function, orders(1..4), AMPLE).await.unwrap(), None);
}

/// An answer that comes within the margin still counts.
#[tokio::test]
async fn a_request_in_flight_is_waited_for_within_the_margin() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    server.add(Rule::bulk().delay(Duration::from_millis(1_200)));
    assert_eq!(invoke(&function, orders(1..4), SHORT).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_of_an_invocation_runs_after_its_answer() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    let connections = || Handle::current().metrics().num_alive_tasks();
    assert_eq!(invoke(&function, orders(1..4), AMPLE).await.unwrap(), None);
    let idle = connections();
    for _ in 0..3 {
        assert_eq!(invoke(&function, orders(1..4), AMPLE).await.unwrap(), None);
        assert!(connections() <= idle, "{} tasks, {idle} before", connections());
    }
    server.add(Rule::bulk().hang());
    assert_eq!(invoke(&function, orders(1..4), SHORT).await.unwrap(), sequence(1));
    let sent = server.bulk_requests().len();
    // The thawed sandbox: its runtime runs on, and sends nothing of the old event.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.bulk_requests().len(), sent);
    assert!(connections() <= idle, "{} tasks, {idle} before", connections());
}
