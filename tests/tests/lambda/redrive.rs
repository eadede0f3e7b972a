//! What landed in S3 is sent again: as reads, whatever has become of the items since.

use opensearch::http::Method;
use streamdex_testkit::event_source::{EventSource, Record, Reply, Settings, drain};
use streamdex_testkit::fault::{Reply as Refusal, Rule};
use streamdex_testkit::lambda::{Answer, Sandbox};

use super::function::{AMPLE, Bench, counted, wanted_again};
use super::stream::{event, small};

/// The objects in the bucket after the mapping has given up on these records.
async fn given_up(bench: &Bench, sandbox: &mut Sandbox, records: &[Record]) -> Vec<String> {
    let settings = Settings { maximum_retry_attempts: Some(1), ..Settings::default() };
    let mut source = EventSource::new(settings, 4);
    source.add_shard("shardId-00000001", None);
    records.iter().cloned().for_each(|record| source.add("shardId-00000001", record));
    let rule = bench.front.add(Rule::bulk().answer(Refusal::json(503, "{}")));
    let sandbox = tokio::sync::Mutex::new(sandbox);
    let invoke = async |batch: streamdex_testkit::event_source::Batch| {
        let mut sandbox = sandbox.lock().await;
        let invocation = sandbox.invoke(batch.event(), std::time::Duration::from_secs(1)).await;
        assert!(wanted_again(&invocation).is_some(), "{}", sandbox.log());
        Reply::from(&invocation.answer)
    };
    drain(&mut source, 1, invoke).await;
    bench.front.remove(rule);
    assert!(source.acknowledged().is_empty());
    source.on_failure().iter().map(|given_up| given_up.s3_object(&bench.lab.table.stream_arn)).collect()
}

/// A closed index forgets what it knew of deleted documents.
async fn forget_tombstones(bench: &Bench) {
    let index = bench.lab.concrete();
    assert_eq!(bench.lab.ask(Method::Post, &format!("{index}/_flush")).await.0, 200);
    assert_eq!(bench.lab.ask(Method::Post, &format!("{index}/_close")).await.0, 200);
    assert_eq!(bench.lab.ask(Method::Post, &format!("{index}/_open?wait_for_active_shards=1")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_failure_sent_again_leaves_deleted_documents_deleted() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    // The index is there.
    let warm = bench.stream.put_small(1, "warm");
    bench.lab.put(small(0, "warm")).await;
    assert_eq!(wanted_again(&sandbox.invoke(event(&warm), AMPLE).await), None, "{}", sandbox.log());

    // Thirty items come, and the mapping gives up on them.
    let records: Vec<Record> = (0..30).map(|place| bench.stream.put(small(place, "given up"))).collect();
    for place in 0..30 {
        bench.lab.put(small(place, "given up")).await;
    }
    let objects = given_up(&bench, &mut sandbox, &records).await;
    assert!(!objects.is_empty());

    // One third is changed, one third is deleted, and those changes arrive.
    bench.stream.later(10);
    let mut changes = Vec::new();
    for place in 0..30 {
        match place % 3 {
            0 => {}
            1 => {
                bench.lab.put(small(place, "changed")).await;
                changes.push(bench.stream.put(small(place, "changed")));
            }
            _ => {
                let mut key = small(place, "");
                changes.push(bench.stream.remove(&key));
                key.retain(|name, _| name == "user_id" || name == "session_id");
                bench.lab.delete(key).await;
            }
        }
    }
    assert_eq!(wanted_again(&sandbox.invoke(event(&changes), AMPLE).await), None, "{}", sandbox.log());
    forget_tombstones(&bench).await;
    assert_eq!(bench.lab.differences(bench.stream.items.values()).await.len(), 10, "what was given up is not there");

    for delivery in 0..2 {
        for object in &objects {
            let invocation = sandbox.invoke(object.clone(), AMPLE).await;
            assert!(matches!(invocation.answer, Answer::Response(_)), "{invocation:?}\n{}", sandbox.log());
            assert_eq!((counted(&invocation).undecided, wanted_again(&invocation)), (0, None));
        }
        bench.index_is_current(&format!("delivery {delivery}")).await;
        bench.lab.until_equal("index and table", || sandbox.log()).await;
    }
    forget_tombstones(&bench).await;
    bench.lab.until_equal("after the tombstones were forgotten once more", || sandbox.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_sent_again_that_cannot_be_decided_fails_the_invocation() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let records = bench.stream.put_small(4, "given up");
    for item in bench.stream.items.values() {
        bench.lab.put(item.clone()).await;
    }
    let objects = given_up(&bench, &mut sandbox, &records).await;
    bench.front.add(Rule::bulk().answer(Refusal::json(503, "{}")));
    let invocation = sandbox.invoke(objects[0].clone(), std::time::Duration::from_secs(3)).await;
    let error = invocation.answer.error();
    assert!(error.message.contains("records have no outcome"), "{error:?}");
    bench.front.clear_rules();
    for object in objects {
        assert_eq!(wanted_again(&sandbox.invoke(object, AMPLE).await), None, "{}", sandbox.log());
    }
    bench.index_is_current("after all").await;
}
