//! `streamdex verify`: what it finds is what was planted, and what it repairs is equal.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::workload::Sessions;

use crate::lab::{Lab, Load, id};

/// Items that nothing writes to while differences are planted: users 50 to 99.
const QUIET: std::ops::Range<u32> = 200..400;
/// Keys that have no item.
const NOBODY: std::ops::Range<u32> = 4_000..4_100;

/// The id of an item's document, by the tests' own converter.
fn id_of(number: u32) -> String {
    id(&Sessions::key_of(number / 4, number % 4))
}

impl Lab {
    /// One bulk request to the node itself.
    async fn plant(&self, operations: Vec<Value>) {
        for operation in operations {
            let (method, path, body) = (&operation["method"], &operation["path"], operation["body"].clone());
            let method = if method == "DELETE" { Method::Delete } else { Method::Put };
            let path =
                format!("{}/_doc/{}", self.concrete(), path.as_str().unwrap().replace('|', "%7C").replace('\\', "%5C"));
            let (status, answer) = self.send(method, &path, body).await;
            assert!((200..300).contains(&status), "{path}: {answer}");
        }
    }

    async fn verify(&self, arguments: &[&str]) -> (i32, Value, BTreeMap<String, BTreeSet<String>>) {
        let all = [&["verify", "--full", "--json", "--list", "differences.ndjson"], arguments].concat();
        let ended = self.end(&all).await;
        assert!(ended.status < 2, "{}", ended.stderr);
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in self.read_file("differences.ndjson").lines() {
            let difference: Value = serde_json::from_str(line).unwrap();
            let (kind, id) = (difference["kind"].as_str().unwrap_or("none"), difference["id"].as_str().unwrap());
            assert!(found.entry(kind.to_owned()).or_default().insert(id.to_owned()), "{id} is named twice");
        }
        (ended.status, serde_json::from_str(&ended.stdout).unwrap(), found)
    }
}

fn set(numbers: std::ops::Range<u32>) -> BTreeSet<String> {
    numbers.map(id_of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_exactly_what_was_planted_under_load_and_repairs_it() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    lab.fill(15, QUIET.end).await;
    let mut reader = lab.start(&["run"]).await;
    lab.until_equal("before anything is planted", || reader.stderr()).await;

    let (missing, different) = (QUIET.start..QUIET.start + 100, QUIET.start + 100..QUIET.end);
    let mut operations: Vec<Value> =
        missing.clone().map(|number| json!({"method": "DELETE", "path": id_of(number)})).collect();
    for numbers in [different.clone(), NOBODY] {
        operations
            .extend(numbers.map(|number| json!({"method": "PUT", "path": id_of(number), "body": {"planted": 1.50}})));
    }
    lab.plant(operations).await;
    let load = Load::start(lab.writer(16).writes_per_second(100));

    let (status, report, found) = lab.verify(&[]).await;
    assert_eq!(status, 1, "{report}");
    let counts =
        ["missing", "extra", "different", "repaired", "inconclusive"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [100, 100, 100, 0, 0], "{report}");
    assert_eq!(found["missing"], set(missing));
    assert_eq!(found["different"], set(different));
    assert_eq!(found["extra"], set(NOBODY));

    let (status, report, found) = lab.verify(&["--repair"]).await;
    assert_eq!((status, report["repaired"].as_u64(), found.len()), (0, Some(300), 0), "{report} {found:?}");

    load.stop().await;
    lab.until_equal("after the repair", || reader.stderr()).await;
    let (status, report, _) = lab.verify(&[]).await;
    assert_eq!((status, report["checked"].as_u64()), (0, report["documents"].as_u64()), "{report}");
    assert_eq!(reader.stop().await.status, 0);
    lab.no_letters().await;
}
