//! The Lambda function.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;

use super::granted::{Resource, Rights, granted};
use super::recorded::Overheard;
use crate::lab::event::{event, insert};
use crate::lab::text;

const AMPLE: Duration = Duration::from_secs(60);
/// Asked once a minute; `run` shows that it is needed.
const WATCH: &str = "indices:monitor/settings/get";

/// How records come to the function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Mapping,
    /// An object of the on-failure bucket, sent again.
    Hand,
}

async fn function_needs_what_is_granted(view: StreamViewType, by: By) {
    let Some(overheard) = Overheard::new(view.clone()).await else { return };
    let lab = &overheard.lab;
    lab.create_state_table().await;
    let arn = &lab.table.stream_arn;
    let seen = |record: String| match view {
        StreamViewType::KeysOnly => without_images(&record),
        _ => record,
    };
    let records =
        [insert(arn, 1_001, "there", r#""city":{"S":"Cork"}"#), insert(arn, 1_002, "gone", r#""city":{"S":"Cork"}"#)];
    let deleted = records[1].replace("INSERT", "REMOVE").replace("NewImage", "OldImage");
    let bad = insert(arn, 1_003, "bad", "").replace(r#"{"S":"bad"}"#, r#"{"X":"bad"}"#);
    let records = [seen(records[0].clone()), seen(deleted), bad];
    let there = [("user_id", "there"), ("session_id", "1001")];
    lab.put(there.map(|(name, value)| (name.to_owned(), text(value))).into()).await;
    let mut sandbox = lab.function().await.start();
    overheard.forget();
    let (payload, option): (String, &[&str]) = match by {
        By::Mapping => (event(&records), &[]),
        By::Hand => (serde_json::json!({ "payload": event(&records) }).to_string(), &["--redrive"]),
    };
    let invocation = sandbox.invoke(payload, AMPLE).await;
    assert_eq!(invocation.answer.response(), r#"{"batchItemFailures":[]}"#, "{}", sandbox.log());
    let mut needed = overheard.asked();
    assert!(needed.index.insert(WATCH.to_owned()));
    let arguments = [&["--for", "lambda", "--view", view.as_str()], option].concat();
    let granted = granted(lab, &arguments).await;
    // The stream is read by the event source mapping, which is a part of AWS.
    let ours = |rights: Rights| Rights {
        actions: rights.actions.into_iter().filter(|(_, resource)| *resource != Resource::Stream).collect(),
        ..rights
    };
    assert!(needed.actions.iter().all(|(_, resource)| *resource != Resource::Stream), "{needed:?}");
    assert_eq!(needed, ours(granted));
}

fn without_images(record: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
    let change = record["dynamodb"].as_object_mut().unwrap();
    change.remove("NewImage");
    change.remove("OldImage");
    change["StreamViewType"] = "KEYS_ONLY".into();
    record.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_makes_the_granted_calls_and_no_other() {
    function_needs_what_is_granted(StreamViewType::NewAndOldImages, By::Mapping).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_reads_items_of_a_stream_of_keys() {
    function_needs_what_is_granted(StreamViewType::KeysOnly, By::Mapping).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_reads_items_of_failures_that_are_sent_again() {
    function_needs_what_is_granted(StreamViewType::NewAndOldImages, By::Hand).await;
}
