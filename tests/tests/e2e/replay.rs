//! One bad record is one bad record.

use std::collections::{BTreeMap, HashSet};

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use streamdex_testkit::compare::table_items;
use streamdex_testkit::workload::{Sessions, dynamodb_json};

use super::program::LETTER_FILE;
use crate::lab::Lab;
use crate::lab::event::{event, insert};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_are_dead_letters_and_their_neighbours_are_applied() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let large = format!(r#""page":{{"S":"{}"}}"#, "ten bytes ".repeat(1_100_000));
    let attributes = [
        r#""city":{"S":"Cork"}"#,
        r#""city":{"X":"Cork"}"#,
        large.as_str(),
        r#""mixed":{"L":[{"N":"1"},{"M":{"a":{"N":"1"}}}]}"#,
        r#""city":{"S":"Dublin"}"#,
    ];
    let arn = &lab.table.stream_arn;
    let records: Vec<String> =
        (1_001..).zip(attributes).map(|(position, attributes)| insert(arn, position, "user", attributes)).collect();
    lab.write_file("event.json", &event(&records));

    let ended = lab.end(&["replay", "--images", "--json", "event.json"]).await;
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let summary = ended.summary();
    let counts = ["applied", "dead_lettered"].map(|outcome| summary["outcomes"][outcome].as_u64().unwrap());
    assert_eq!((summary["records"].as_u64(), counts, summary["undecided"].as_u64()), (Some(5), [2, 3], Some(0)));
    for (position, status) in [(1_001, 200), (1_002, 404), (1_003, 404), (1_004, 404), (1_005, 200)] {
        let (found, _) = lab.ask(Method::Get, &format!("{}/_doc/user%7C{position}", lab.index)).await;
        assert_eq!(found, status, "{position}");
    }
    let letters = lab.file_letters();
    let reasons: BTreeMap<&str, &str> =
        letters.iter().map(|letter| (letter["record"].as_str().unwrap(), letter["reason"].as_str().unwrap())).collect();
    println!("{reasons:#?}");
    assert_eq!((reasons.len(), reasons.values().collect::<HashSet<_>>().len()), (3, 3), "{letters:#?}");

    // Delivered again it ends the same, and doubles no letter.
    let again = lab.end(&["replay", "--images", "--json", "event.json"]).await;
    assert_eq!((again.status, &again.summary()["outcomes"]["dead_lettered"]), (1, &3.into()), "{}", again.stderr);
    let listed = lab.end(&["dlq", "list", "--json", "--file", LETTER_FILE]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["dead_letters"].as_array().unwrap().len(), 3, "{listed:#}");
}

/// What `aws dynamodb scan` prints: each item is read by its key, so that nothing old is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_output_of_a_scan_is_replayed() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    lab.fill(3, 40).await;
    let items = table_items(&lab.client, &lab.table.name).await;
    let items: Vec<String> = items.iter().map(dynamodb_json).collect();
    lab.write_file("scan.json", &format!(r#"{{"Items":[{}],"Count":40,"ScannedCount":40}}"#, items.join(",")));
    let refused = lab.end(&["replay", "--images", "scan.json"]).await;
    assert!(refused.status == 2 && refused.stderr.contains("omit --images"), "{}", refused.stderr);
    lab.delete(Sessions::key_of(0, 0)).await;
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let ended = lab.end(&["replay", "--json", "scan.json"]).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(ended.summary()["outcomes"]["applied"], 39, "{}", ended.stdout);
    lab.until_equal("after the replay", || ended.stderr.clone()).await;
    lab.write_file("part.json", r#"{"Items":[{"city":{"S":"Cork"}}]}"#);
    let refused = lab.end(&["replay", "part.json"]).await;
    assert!(refused.status == 2 && refused.stderr.contains("lacks the table's key"), "{}", refused.stderr);
}
