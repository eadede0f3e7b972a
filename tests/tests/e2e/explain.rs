//! `explain`: one item of each kind of trouble, and what is said of it.

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::workload::Item;

use super::program::Ended;
use crate::lab::{CONFIG, Lab, number, text};

/// An item of this user, and what else it has.
async fn put(lab: &Lab, user: &str, more: &[(&str, AttributeValue)]) {
    let mut item: Item =
        [("user_id", user), ("session_id", "s|1")].map(|(name, value)| (name.to_owned(), text(value))).into();
    item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    lab.put(item).await;
}

async fn explain(lab: &Lab, user: &str, more: &[&str]) -> Ended {
    let key = format!("user_id={user}");
    lab.end(&[&["explain", "--key", &key, "--key", "session_id=s|1", "--patience", "0"], more].concat()).await
}

async fn verdict(lab: &Lab, user: &str) -> (i32, Value) {
    let ended = explain(lab, user, &["--json"]).await;
    let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{user}: {}", ended.stderr));
    (ended.status, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_item_of_each_kind_of_trouble() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let when = "when = { attribute = \"kind\", one_of = [\"session\", \"cart\"] }\n";
    lab.write_file(CONFIG, &lab.read_file(CONFIG).replace("[[route]]\n", &format!("[[route]]\n{when}")));
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let kind = |kind: &str| ("kind", text(kind));
    let no_field = AttributeValue::L(vec![number("1"), AttributeValue::M([("a".to_owned(), number("1"))].into())]);
    for user in ["fine", "lost", "changed", "gone", "over"] {
        put(&lab, user, &[kind("session"), ("secret", text("hunter2"))]).await;
    }
    put(&lab, "other", &[kind("audit")]).await;
    put(&lab, "refused", &[kind("cart"), ("mixed", no_field)]).await;
    let filled = lab.end(&["run", "--until-end"]).await;
    assert_eq!(filled.status, 1, "one is a dead letter: {}", filled.stderr);
    // Planted behind the program's back, and behind the reader's.
    let document = |user: &str| format!("{}/_doc/{user}%7Cs%5C%7C1", lab.concrete());
    lab.ask(Method::Delete, &document("lost")).await;
    lab.send(Method::Put, &document("changed"), json!({"user_id": "changed", "city": "Cork"})).await;
    lab.send(Method::Put, &document("nobody"), json!({"user_id": "nobody", "session_id": "s|1"})).await;
    put(&lab, "over", &[kind("session"), ("expires_at", number("1700000000"))]).await;
    lab.ask(Method::Delete, &document("over")).await;

    for (user, status, expected, part) in [
        ("fine", 0, "in_sync", "equals the item"),
        ("lost", 1, "missing", "verify --full --repair"),
        ("changed", 1, "different", "verify --full --repair"),
        ("nobody", 1, "not_in_table", "there is a document without an item"),
        ("never", 0, "not_in_table", "no document of it"),
        ("other", 0, "filtered", "no route takes the item"),
        ("refused", 1, "dead_lettered", "dlq replay"),
    ] {
        let (ended, said) = verdict(&lab, user).await;
        assert_eq!((ended, said["verdict"].as_str()), (status, Some(expected)), "{user}: {said:#}");
        assert!(said["says"].as_str().unwrap().contains(part), "{user}: {said:#}");
    }
    // The emulator removes what has expired, now or a moment later.
    let (status, said) = verdict(&lab, "over").await;
    assert!(status == 0 && ["expired", "not_in_table"].contains(&said["verdict"].as_str().unwrap()), "{said:#}");
    let shown = explain(&lab, "fine", &[]).await;
    assert!(shown.stdout.contains("takes it (kind one_of [\"session\", \"cart\"]: yes)"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("hunter2"), "{}", shown.stdout);
    assert!(explain(&lab, "fine", &["--show-values"]).await.stdout.contains("hunter2"));
    let other = explain(&lab, "other", &[]).await;
    assert!(other.stdout.contains("does not match it") && other.stdout.contains(": no)"), "{}", other.stdout);
    let letter = explain(&lab, "refused", &[]).await;
    assert!(letter.stdout.contains("letter "), "{}", letter.stdout);
    // By the id that a search shows.
    let by_id = lab.end(&["explain", "--id", r"changed|s\|1", "--patience", "0"]).await;
    assert!(by_id.status == 1 && by_id.stdout.contains("different: "), "{}{}", by_id.stdout, by_id.stderr);
    for (arguments, part) in [
        (&["explain", "--key", "user_id=u"][..], "session_id is needed once"),
        (&["explain", "--key", "user=u"], "user is not a key attribute of the table: user_id, session_id"),
        (&["explain", "--id", "no id of this table"], "no item of the table has a document with this id"),
        (&["explain", "--key", "user_id"], "write it as NAME=VALUE"),
    ] {
        let wrong = lab.end(arguments).await;
        assert!(wrong.status == 2 && wrong.stderr.contains(part), "{arguments:?}: {}", wrong.stderr);
    }
}

/// A difference that the reader has not come to is no fault of the index; it is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_pending_and_comes() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    lab.with_source("backfill = \"never\"");
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let mut run = lab.start(&["run"]).await;
    put(&lab, "first", &[]).await;
    lab.until_counted(1, || run.stderr()).await;
    run.signal("STOP");
    put(&lab, "late", &[]).await;
    let (_, said) = verdict(&lab, "late").await;
    assert_eq!(said["verdict"], "pending", "{said:#}");
    run.signal("CONT");
    let came = lab.end(&["explain", "--key", "user_id=late", "--key", "session_id=s|1", "--patience", "60"]).await;
    assert!(came.status == 0 && came.stdout.contains("in_sync: "), "{}{}", came.stdout, run.stderr());
    assert_eq!(run.stop().await.status, 0);
}
