//! How the time of an invocation is used.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use streamdex_testkit::fault::{FaultServer, Rule};

use crate::function::{AMPLE, event, function, invoke, orders, record_with, sequence};

#[tokio::test]
async fn one_request_without_an_answer_leaves_time_for_another() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    server.add(Rule::bulk().times(1).hang());
    assert_eq!(invoke(&function, orders(1..4), Duration::from_secs(5)).await.unwrap(), None);
    assert!(server.bulk_requests().len() > 1);
}

/// A MODIFY that changes nothing, so that nothing is sent.
fn unchanged(number: u32, image: &str) -> String {
    let record = record_with("orders", number, image).replace("INSERT", "MODIFY");
    record.replace("\"NewImage\"", &format!("\"OldImage\":{image},\"NewImage\""))
}

/// A map with these members, in this order.
fn image(number: u32, members: impl Iterator<Item = u32>) -> String {
    let members: Vec<String> = members.map(|member| format!(r#""m{member}":{{"N":"{member}"}}"#)).collect();
    format!(r#"{{"pk":{{"S":"k{number}"}},"map":{{"M":{{{}}}}}}}"#, members.join(","))
}

#[tokio::test]
async fn the_thread_that_answers_does_not_map() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    let records: Vec<String> = (1..2_000).map(|number| unchanged(number, &image(number, 0..40))).collect();
    let (ticks, done) = (AtomicU32::new(0), AtomicBool::new(false));
    let ticking = async {
        while !done.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks.fetch_add(1, Ordering::Relaxed);
        }
    };
    let handled = async {
        let answered = invoke(&function, event(&records), AMPLE).await.unwrap();
        done.store(true, Ordering::Relaxed);
        answered
    };
    // Nothing is sent, so that only the mapping can be waited for.
    let ((), answered) = tokio::join!(ticking, handled);
    assert_eq!((answered, server.requests().len()), (None, 0));
    assert!(ticks.load(Ordering::Relaxed) > 5, "{ticks:?}");
}

#[tokio::test]
async fn a_slow_mapping_ends_in_an_answer_before_the_deadline() {
    let server = FaultServer::scripted();
    let function = function(&server, "");
    // The same members in another order: slow to compare, where comparing is.
    let slow = |number| {
        let (old, new) = (image(number, 0..8_000), image(number, (0..8_000).rev()));
        unchanged(number, &new).replacen(&new, &old, 1)
    };
    let records: Vec<String> = (1..4).map(slow).collect();
    let time = Duration::from_millis(1_500);
    let began = Instant::now();
    let answered = invoke(&function, event(&records), time).await.unwrap();
    assert!(began.elapsed() < time, "{:?}", began.elapsed());
    assert!(answered.is_none() || (1..4).any(|number| answered == sequence(number)), "{answered:?}");
}
