//! The largest events that a mapping makes.

use streamdex_testkit::event_source::Record;
use streamdex_testkit::workload::Sessions;

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::{event, small};
use crate::lab::now;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_records() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let mut records: Vec<Record> = Vec::new();
    for round in 0..2 {
        records.extend(bench.stream.put_small(4_500, &format!("round {round}")));
    }
    records.extend((0..1_000).map(|place| bench.stream.remove(&small(place * 3, ""))));
    assert_eq!(records.len(), 10_000);
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    assert_eq!(counted(&invocation).told(), "Applied 3500, Absent 1000, Coalesced 5500");
    bench.index_is_current("ten thousand").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_six_megabytes() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let mut sessions = Sessions::new(6, now());
    let mut records = Vec::new();
    let mut bytes = 0;
    for number in 0.. {
        let mut item = sessions.item(Sessions::key_of(number, number));
        for _ in 0..2 {
            sessions.change(&mut item);
            let record = bench.stream.put(item.clone());
            bytes += record.json.len() + 1;
            records.push(record);
        }
        if bytes > 5_950_000 {
            break;
        }
    }
    let payload = event(&records);
    assert!((5_900_000..6_000_001).contains(&payload.len()), "{} bytes", payload.len());
    let invocation = sandbox.invoke(payload, AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    assert_eq!(counted(&invocation).undecided, 0);
    bench.index_is_current("six megabytes").await;
}
