//! `await`, as a command and of `run`: until searches find of one item what the table holds, or why they never will.

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::workload::Item;

use super::program::listening;
use crate::lab::{CONFIG, Lab, number, text};

async fn put(lab: &Lab, user: &str, more: &[(&str, AttributeValue)]) {
    let mut item: Item =
        [("user_id", user), ("session_id", "s1")].map(|(name, value)| (name.to_owned(), text(value))).into();
    item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    lab.put(item).await;
}

/// A lab whose index shows nothing to searches before it is refreshed.
async fn never_refreshed() -> Option<Lab> {
    let lab = Lab::on_opensearch(StreamViewType::NewAndOldImages).await?;
    let settings = "settings = { number_of_replicas = 0, refresh_interval = \"-1\" }";
    lab.configure(lab.node(), "", settings);
    let when = "[[route]]\nwhen = { attribute = \"kind\", exists = true, not = true }\n";
    lab.write_file(CONFIG, &lab.read_file(CONFIG).replace("[[route]]\n", when));
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    Some(lab)
}

/// How many documents a search for the user finds now.
async fn found(lab: &Lab, user: &str) -> u64 {
    let (_, answer) = lab.ask(Method::Get, &format!("{}/_count?q=user_id:{user}", lab.index)).await;
    answer["count"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

async fn awaited(lab: &Lab, user: &str, timeout: &str) -> (i32, Value) {
    let key = format!("user_id={user}");
    let arguments = ["await", "--json", "--key", &key, "--key", "session_id=s1", "--timeout", timeout];
    let ended = lab.end(&arguments).await;
    (ended.status, serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{user}: {}", ended.stderr)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ones_own_write_is_found_when_the_wait_is_over_and_what_never_will_be_says_why() {
    let Some(lab) = never_refreshed().await else { return };
    let mut run = lab.start(&["run"]).await;
    put(&lab, "first", &[]).await;
    let (status, said) = awaited(&lab, "first", "60").await;
    assert_eq!((status, &said["verdict"], found(&lab, "first").await), (0, &json!("in_sync"), 1), "{said:#}");
    put(&lab, "second", &[]).await;
    let (status, said) = awaited(&lab, "second", "60").await;
    assert_eq!((status, &said["searchable"], found(&lab, "second").await), (0, &json!(true), 1), "{said:#}");
    lab.delete([("user_id", text("first")), ("session_id", text("s1"))].map(|(k, v)| (k.to_owned(), v)).into()).await;
    let (status, said) = awaited(&lab, "first", "60").await;
    assert_eq!((status, &said["verdict"], found(&lab, "first").await), (0, &json!("not_in_table"), 0), "{said:#}");

    put(&lab, "second", &[("kind", text("audit"))]).await;
    put(
        &lab,
        "refused",
        &[("mixed", AttributeValue::L(vec![number("1"), AttributeValue::M([("a".to_owned(), number("1"))].into())]))],
    )
    .await;
    for (user, verdict, part) in
        [("second", "filtered", "no route takes the item"), ("refused", "dead_lettered", "dlq replay")]
    {
        let (status, said) = awaited(&lab, user, "60").await;
        assert_eq!((status, &said["verdict"]), (1, &json!(verdict)), "{said:#}\n{}", run.stderr());
        assert!(said["says"].as_str().unwrap().contains(part), "{said:#}");
        assert!(said["waited_seconds"].as_f64().unwrap() < 30.0, "it is not waited for in vain: {said:#}");
    }
    assert_eq!(found(&lab, "second").await, 0);
    // Planted behind the reader's back: no record of the stream will ever correct it.
    put(&lab, "planted", &[("city", text("Cork"))]).await;
    assert_eq!(awaited(&lab, "planted", "60").await.0, 0);
    lab.send(Method::Put, &format!("{}/_doc/planted%7Cs1", lab.concrete()), json!({"user_id": "planted"})).await;
    let (status, said) = awaited(&lab, "planted", "60").await;
    assert_eq!((status, &said["verdict"]), (1, &json!("different")), "{said:#}");
    assert!(said["says"].as_str().unwrap().contains("verify --full --repair"), "{said:#}");

    run.signal("STOP");
    put(&lab, "late", &[]).await;
    let (status, said) = awaited(&lab, "late", "1").await;
    assert_eq!((status, &said["verdict"], &said["searchable"]), (1, &json!("pending"), &json!(false)), "{said:#}");
    run.signal("CONT");
    assert_eq!(awaited(&lab, "late", "60").await.0, 0);
    assert_eq!(run.stop().await.status, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_and_standby_answer_and_neither_logs_a_key() {
    let Some(lab) = never_refreshed().await else { return };
    let asked = json!({"key": {"user_id": "hunter2", "session_id": "s1"}, "timeout_seconds": 30});
    let (mut off, node) = listening(&lab).await;
    let (status, _) = node.ask(Method::Post, "await", asked.clone()).await;
    assert_eq!(status, 404, "it is off where nobody wants it");
    assert_eq!(off.stop().await.status, 0);
    lab.write_file(CONFIG, &format!("[http]\nawait_per_second = 20\n{}", lab.read_file(CONFIG)));
    let (mut reader, first) = listening(&lab).await;
    put(&lab, "before", &[]).await;
    assert_eq!(awaited(&lab, "before", "60").await.0, 0);
    let (mut standby, second) = listening(&lab).await;
    put(&lab, "hunter2", &[]).await;
    for node in [&first, &second] {
        let (status, said) = node.ask(Method::Post, "await", asked.clone()).await;
        assert_eq!((status, &said["verdict"], &said["searchable"]), (200, &json!("in_sync"), &json!(true)), "{said:#}");
    }
    assert_eq!(found(&lab, "hunter2").await, 1);
    put(&lab, "hunter2", &[("kind", text("audit"))]).await;
    let (status, said) = first.ask(Method::Post, "await", asked.clone()).await;
    assert_eq!((status, &said["verdict"]), (409, &json!("filtered")), "{said:#}");
    for (body, part) in [
        (json!({"key": {"user_id": "hunter2"}}), "session_id is needed once"),
        (json!({"key": {"user_id": "hunter2", "session_id": true}}), "must be a string or a whole number"),
        (json!({"keys": {}}), "the body is not valid"),
        (json!({"key": {"user_id": "hunter2", "session_id": "s1"}, "source": "other"}), "there is no source"),
    ] {
        let (status, said) = first.ask(Method::Post, "await", body).await;
        assert!(
            status == 400 && said["error"].as_str().is_some_and(|error| error.contains(part)),
            "{part}: {status} {said:#}"
        );
    }
    let mut refused = 0;
    for _ in 0..60 {
        let (status, _) = first.ask(Method::Post, "await", json!({})).await;
        refused += u32::from(status == 429);
    }
    assert!(refused > 0, "more than 20 a second are refused");
    for run in [&mut reader, &mut standby] {
        assert!(!run.stderr().contains("hunter2"), "{}", run.stderr());
        assert_eq!(run.stop().await.status, 0);
    }
}
