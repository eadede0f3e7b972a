//! `streamdex dlq replay` and `drop`: a letter goes when its document was seen to be right.

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::workload::{Item, Sessions};

use crate::lab::{Lab, text};

/// More fields than an index takes, which is 1,000.
fn with_many_fields(number: u32) -> Item {
    let mut item = Sessions::key_of(number, 0);
    let fields = (0..1_100).map(|field| (format!("f{field}"), text("x"))).collect();
    item.insert("many".to_owned(), AttributeValue::M(fields));
    item
}

impl Lab {
    async fn dlq(&self, arguments: &[&str]) -> (i32, Value) {
        let ended = self.end(&[&["dlq", "--json"], arguments].concat()).await;
        assert!(ended.status < 2, "{}", ended.stderr);
        (ended.status, serde_json::from_str(&ended.stdout).unwrap())
    }

    /// How many letters are listed.
    async fn listed(&self) -> usize {
        self.dlq(&["list"]).await.1["dead_letters"].as_array().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_letters_go_when_their_documents_are_right_and_what_was_deleted_stays_deleted() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    lab.fill(17, 8).await;
    // One that stays, one that is deleted, and two that are put right by a later change, or never.
    for number in 100..104 {
        lab.put(with_many_fields(number)).await;
    }
    let ended = lab.end(&["run", "--until-end", "--json"]).await;
    assert_eq!((ended.status, &ended.summary()["outcomes"]["dead_lettered"]), (1, &4.into()), "{}", ended.stderr);
    lab.delete(Sessions::key_of(101, 0)).await;
    lab.put(Sessions::key_of(102, 0)).await;
    assert_eq!(lab.end(&["run", "--until-end"]).await.status, 0);
    // The tombstone of 101 is forgotten.
    for what in ["_flush", "_close", "_open"] {
        lab.ask(Method::Post, &format!("{}/{what}", lab.concrete())).await;
    }

    let (_, dry) = lab.dlq(&["replay", "--dry-run", "--reason", "illegal_argument_exception"]).await;
    assert_eq!((dry["letters"].as_u64(), lab.listed().await), (Some(4), 4));
    let (status, report) = lab.dlq(&["replay"]).await;
    let counts = ["letters", "healed", "refused", "left", "unreplayable"].map(|name| report[name].as_u64().unwrap());
    assert_eq!((status, counts, lab.listed().await), (1, [4, 2, 2, 0, 0], 2), "{report}");
    let (found, _) = lab.ask(Method::Get, &format!("{}/_doc/user-000101%7Cs%5C%7C00000000", lab.index)).await;
    assert_eq!(found, 404, "it was deleted");

    // One is given up; the index takes the other one.
    let (_, listed) = lab.dlq(&["list"]).await;
    let keys: Vec<&str> =
        listed["dead_letters"].as_array().unwrap().iter().map(|letter| letter["key"].as_str().unwrap()).collect();
    let refused = lab.end(&["dlq", "drop", "--key", keys[1]]).await;
    assert_eq!(refused.status, 2, "nobody said --yes: {}", refused.stderr);
    let (status, dropped) = lab.dlq(&["drop", "--key", keys[1], "--yes"]).await;
    assert_eq!((status, dropped["dropped"].as_u64()), (0, Some(1)), "{dropped}");
    let larger = json!({"index.mapping.total_fields.limit": 3_000});
    lab.send(Method::Put, &format!("{}/_settings", lab.concrete()), larger).await;
    let (status, report) = lab.dlq(&["replay"]).await;
    assert_eq!((status, report["healed"].as_u64(), lab.listed().await), (0, Some(1), 0), "{report}");

    // What was dropped is not forgotten by the table.
    let verified = lab.end(&["verify", "--full", "--repair", "--json"]).await;
    let report: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!((verified.status, report["repaired"].as_u64()), (0, Some(1)), "{report}");
    lab.until_equal("after all letters", String::new).await;
}
