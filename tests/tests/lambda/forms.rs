//! What an event may be, and what is said of one that is not.

use serde_json::{Value, json};
use streamdex_testkit::fault::Recorded;
use streamdex_testkit::lambda::Answer;

use super::function::{AMPLE, Bench, EMPTY, counted, wanted_again};
use super::stream::{event, small};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_applied_and_every_record_has_its_outcome() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let mut records = bench.stream.put_small(20, "first");
    records.push(bench.stream.put(small(0, "second")));
    records.push(bench.stream.remove(&small(1, "")));
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
    bench.index_is_current("after the event").await;
    let counted = counted(&invocation);
    // The first two puts of what changed again were never sent; the delete found nothing.
    assert_eq!(counted.told(), "Applied 19, Absent 1, Coalesced 2", "{}", counted.line);
    assert_eq!((counted.records, &counted.line["Table"]), (22, &json!(bench.lab.table.name)));
    assert_eq!(counted.line["FunctionName"], "streamdex");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_is_asked_about_once_and_never_probed() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    for round in 0..3 {
        let records = bench.stream.put_small(5, &format!("round {round}"));
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
        let others: Vec<Recorded> = bench.front.requests().into_iter().filter(|request| !request.is_bulk()).collect();
        if round == 0 {
            let is_document = |request: &&Recorded| request.path.contains("/_doc") || request.path.contains("/_create");
            assert_eq!(others.iter().filter(is_document).count(), 0, "a probe: {others:?}");
        } else {
            assert!(others.is_empty(), "asked again: {others:?}");
        }
        bench.front.forget_requests();
    }
    // Another sandbox finds the index there and makes nothing.
    let mut another = bench.sandbox().await;
    let records = bench.stream.put_small(5, "another");
    assert_eq!(wanted_again(&another.invoke(event(&records), AMPLE).await), None, "{}", another.log());
    let made: Vec<Recorded> = bench.front.requests().into_iter().filter(|r| r.method == "PUT").collect();
    assert!(made.is_empty(), "{made:?}");
    bench.index_is_current("after all").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_event_is_done_without_asking_anybody() {
    let Some(bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let invocation = sandbox.invoke(EMPTY, AMPLE).await;
    assert_eq!(wanted_again(&invocation), None);
    assert_eq!(invocation.answer, Answer::Response(r#"{"batchItemFailures":[]}"#.to_owned()));
    assert_eq!(bench.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_no_known_form_are_refused_in_plain_words() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let record = bench.stream.put(small(1, "one"));
    let arn = &bench.lab.table.stream_arn;
    let window = json!({"start": "2025-06-15T15:00:00Z", "end": "2025-06-15T15:05:00Z"});
    let record_value: Value = serde_json::from_str(&record.json).unwrap();
    let tumbling = json!({"window": window, "state": {}, "shardId": "shardId-1", "eventSourceARN": arn,
        "isFinalInvokeForWindow": false, "isWindowTerminatedEarly": false, "Records": [record_value]});
    let sqs = json!({"Records": [{"messageId": "1", "receiptHandle": "x", "body": "{}", "attributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:queue", "awsRegion": "eu-west-1"}]});
    let unknown = record.json.replace(&bench.lab.table.name, "another-table");
    let rows: [(&str, String, &[&str]); 7] = [
        ("console", r#"{"key1":"value1","key2":"value2","key3":"value3"}"#.to_owned(), &["stream", "Records"]),
        ("text", "\"hello\"".to_owned(), &["stream", "Records"]),
        ("tumbling window", tumbling.to_string(), &["tumbling window"]),
        ("another service", sqs.to_string(), &["aws:sqs"]),
        ("an unknown table", format!(r#"{{"Records":[{unknown}]}}"#), &["another-table", &bench.lab.table.name]),
        ("items", r#"{"Items":[{"user_id":{"S":"a"},"session_id":{"S":"b"}}]}"#.to_owned(), &["items"]),
        ("SQS form", r#"{"requestContext":{},"DDBStreamBatchInfo":{"shardId":"s"}}"#.to_owned(), &["S3"]),
    ];
    for (what, payload, said) in rows {
        let invocation = sandbox.invoke(payload, AMPLE).await;
        let error = invocation.answer.error();
        for word in said {
            assert!(error.message.contains(word), "{what}: {word} is not in {error:?}");
        }
        assert!(error.message.contains("hint"), "{what}: {error:?}");
        assert!(error.kind.starts_with("Streamdex."), "{what}: {error:?}");
    }
    assert_eq!(bench.asked().len(), 0, "nothing was sent");
    // One bad event is one bad event.
    assert_eq!(wanted_again(&sandbox.invoke(event(&[record]), AMPLE).await), None);
    bench.index_is_current("after a good one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_function_follows_several_tables() {
    let (Some(mut one), Some(mut two)) = (Bench::new().await, Bench::new().await) else { return };
    // The second table is in the first one's configuration, under its own routes.
    one.reconfigure("[source]\n", "[[source]]\nname = \"one\"\n");
    one.reconfigure("[[route]]\n", "[[route]]\nsource = \"one\"\n");
    one.append(&format!(
        "[[source]]\nname = \"two\"\ntable = \"{}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n\
         [[route]]\nsource = \"two\"\nindex = \"{}\"\nid = [\"user_id\", \"session_id\"]\n\
         [index.\"{}\"]\nsettings = {{ number_of_replicas = 0 }}",
        two.lab.table.name,
        two.dynamodb.endpoint_url(),
        two.lab.index,
        two.lab.index,
    ));
    one.reconfigure(
        "[state]\n",
        &format!("[state]\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n", one.dynamodb.endpoint_url()),
    );
    let mut sandbox = one.sandbox().await;
    for (round, bench) in [&mut one, &mut two].into_iter().enumerate() {
        let records = bench.stream.put_small(7, &format!("of table {round}"));
        let invocation = sandbox.invoke(event(&records), AMPLE).await;
        assert_eq!(wanted_again(&invocation), None, "{}", sandbox.log());
        assert_eq!(counted(&invocation).line["Table"], bench.lab.table.name.as_str());
    }
    one.index_is_current("the first table").await;
    two.index_is_current("the second table").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_another_table_fails_the_whole_event_before_anything_is_sent() {
    let Some(mut bench) = Bench::new().await else { return };
    let mut sandbox = bench.sandbox().await;
    let mut records = bench.stream.put_small(2, "ours");
    records[1].json = records[1].json.replace(&bench.lab.table.name, "another-table");
    let invocation = sandbox.invoke(event(&records), AMPLE).await;
    assert!(invocation.answer.error().message.contains("another-table"), "{invocation:?}");
    assert_eq!(bench.asked().len(), 0);
}
