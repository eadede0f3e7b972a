//! The commands of the program.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::report::moto;
use streamdex_testkit::workload::{Item, Sessions};

use super::granted::{Resource, Rights, granted};
use super::recorded::Overheard;
use crate::lab::buckets::Bucket;
use crate::lab::event::{event, insert};
use crate::lab::{number, text};

/// Items of every fate: indexed, deleted, refused by OpenSearch.
async fn fill(overheard: &Overheard) {
    let lab = &overheard.lab;
    lab.fill(3, 12).await;
    lab.delete(Sessions::key_of(0, 0)).await;
    let mut refused = Sessions::key_of(99, 0);
    refused.insert("mixed".to_owned(), mixed());
    lab.put(refused).await;
}

/// No field takes a number and a map.
fn mixed() -> AttributeValue {
    let map = AttributeValue::M([("a".to_owned(), number("1"))].into());
    AttributeValue::L(vec![number("1"), map])
}

fn key_of(user: &str, session: &str) -> Item {
    [("user_id", user), ("session_id", session)].map(|(name, value)| (name.to_owned(), text(value))).into()
}

async fn run_needs_what_is_granted(view: StreamViewType) {
    let Some(overheard) = Overheard::new(view.clone()).await else { return };
    overheard.lab.with_source("backfill = \"never\"");
    overheard.needed(&["state", "create"], 0).await;
    fill(&overheard).await;
    let needed = with_ends_of_shards(overheard.needed(&["run", "--until-end"], 1).await);
    assert_eq!(needed, granted(&overheard.lab, &["--for", "run", "--view", view.as_str()]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_makes_the_granted_calls_and_no_other() {
    run_needs_what_is_granted(StreamViewType::NewAndOldImages).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_reads_items_of_a_stream_of_keys() {
    run_needs_what_is_granted(StreamViewType::KeysOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_asks_whether_the_index_is_empty_and_may_fill_it() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    lab.hold_before_the_stream(4).await;
    fill(&overheard).await;
    let makes_the_index = overheard.needed(&["run", "--until-end"], 1).await;
    // A group that begins again finds it, and counts its documents.
    for pin in lab.state_rows("sk", "stream|").await {
        let key = pin.into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
        lab.client.delete_item().table_name(&lab.state).set_key(Some(key)).send().await.unwrap();
    }
    let counts = overheard.needed(&["run", "--until-end"], 0).await;
    let mut needed = both(makes_the_index, counts);
    // It fills only where it goes on: see the test of backfill.
    for action in ["dynamodb:BatchGetItem", "dynamodb:Scan"] {
        assert!(needed.actions.insert((action.to_owned(), Resource::Table)), "{action}");
    }
    assert_eq!(needed, granted(lab, &["--for", "run"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_create_makes_the_granted_calls_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let mut needed = overheard.needed(&["state", "create"], 0).await;
    // Outside emulators; see `a_state_table_is_protected_outside_emulators`.
    for action in ["dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable"] {
        assert!(needed.actions.insert((action.to_owned(), Resource::State)), "{action}");
    }
    assert_eq!(needed, granted(&overheard.lab, &["--for", "state-create"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_and_dlq_make_the_granted_calls_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    let arn = &lab.table.stream_arn;
    // There, gone, not to be read, and refused by OpenSearch.
    let records = [
        insert(arn, 1_001, "there", r#""city":{"S":"Cork"}"#),
        insert(arn, 1_002, "gone", r#""city":{"S":"Cork"}"#),
        insert(arn, 1_003, "bad", r#""city":{"S":"Cork"}"#).replace(r#""Keys""#, r#""Kays""#),
        insert(arn, 1_004, "refused", r#""city":{"S":"Cork"}"#),
        insert(arn, 1_005, "refused and gone", r#""city":{"S":"Cork"}"#),
    ];
    for (user, session) in [("refused", "1004"), ("refused and gone", "1005")] {
        let mut item = key_of(user, session);
        item.insert("mixed".to_owned(), mixed());
        lab.put(item).await;
    }
    lab.write_file("event.json", &event(&records));
    lab.put(key_of("there", "1001")).await;
    let needed = overheard.needed(&["replay", "event.json"], 1).await;
    assert_eq!(needed, granted(lab, &["--for", "replay"]).await);

    let listed = lab.end(&["dlq", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let key = listed["dead_letters"][0]["key"].as_str().unwrap_or_else(|| panic!("{listed}"));
    let list = overheard.needed(&["dlq", "list"], 0).await;
    let show = overheard.needed(&["dlq", "show", key], 0).await;
    // The index is made again; then one item is gone, and its document is deleted.
    let (status, _) = lab.ask(Method::Delete, &lab.concrete()).await;
    assert_eq!(status, 200);
    let refused = overheard.needed(&["dlq", "replay"], 1).await;
    lab.delete(key_of("refused and gone", "1005")).await;
    let replay = both(refused, overheard.needed(&["dlq", "replay"], 1).await);
    let drop = overheard.needed(&["dlq", "drop", "--all", "--yes"], 0).await;
    let mut needed = both(both(list, show), both(replay, drop));
    // Of an index that `run` has noted; see the test on a secured node.
    assert!(needed.index.insert("indices:monitor/settings/get".to_owned()));
    assert_eq!(needed, granted(lab, &["--for", "dlq"]).await);
}

/// As Lambda lays it: the records inside a text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_of_a_bucket_makes_the_granted_calls_and_no_other() {
    let Some(moto) = moto().await else { return };
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    let bucket = Bucket::new(&moto).await;
    let records = [insert(&lab.table.stream_arn, 1_001, "gone", "")];
    bucket.put("1.json", &json!({ "payload": event(&records) }).to_string()).await;
    let front = FaultServer::in_front_of(&moto.endpoint_url());
    let address = format!("s3://{}/", bucket.name);
    let arguments = ["replay", &address, "--remove"];
    let ended = lab.end_with(&arguments, &[("AWS_ENDPOINT_URL_S3", &front.url())]).await;
    assert_eq!((ended.status, bucket.keys().await.len()), (0, 0), "{}", ended.stderr);
    let asked: BTreeSet<(&str, bool)> = front
        .requests()
        .iter()
        .map(|request| {
            let of_an_object = request.path.contains("1.json");
            let action = match (request.method.as_str(), of_an_object) {
                ("GET", true) => "s3:GetObject",
                ("DELETE", true) => "s3:DeleteObject",
                ("GET", false) if request.path.contains("list-type=2") => "s3:ListBucket",
                other => panic!("{other:?}: {request:?}"),
            };
            (action, of_an_object)
        })
        .collect();
    let printed = lab.end(&["iam-policy", "--for", "replay", "--on-failure-bucket", &bucket.name]).await;
    let policy: Value = serde_json::from_str(&printed.stdout).unwrap();
    let mut granted = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let Some(of_bucket) = statement["Resource"][0].as_str().unwrap().strip_prefix("arn:aws:s3:::") else {
            continue;
        };
        assert!(of_bucket.starts_with(&bucket.name), "{statement}");
        for action in statement["Action"].as_array().unwrap() {
            granted.insert((action.as_str().unwrap(), of_bucket.ends_with("/*")));
        }
    }
    assert_eq!(asked, granted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backfill_makes_the_granted_calls_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    lab.put(Sessions::key_of(50, 0)).await;
    let mut refused = Sessions::key_of(99, 0);
    refused.insert("mixed".to_owned(), mixed());
    lab.put(refused).await;
    let once = overheard.needed(&["backfill", "--yes", "--no-stream"], 1).await;
    let again = overheard.needed(&["backfill", "--yes", "--beside-lambda", "--restart"], 1).await;
    let mut needed = both(once, again);
    // Items that were read too long ago, or whose request got no answer.
    assert!(needed.actions.insert(("dynamodb:BatchGetItem".to_owned(), Resource::Table)));
    assert!(needed.index.insert("indices:data/write/delete".to_owned()), "one may be gone then");
    assert_eq!(needed, granted(lab, &["--for", "backfill"]).await);
}

/// Everything that a repair of an empty cluster needs: it makes the index, and writes and deletes.
async fn repair(overheard: &Overheard) -> Rights {
    let lab = &overheard.lab;
    lab.put(Sessions::key_of(50, 0)).await;
    let made = overheard.needed(&["verify", "--full", "--repair", "--lag", "0"], 0).await;
    lab.delete(Sessions::key_of(50, 0)).await;
    both(made, overheard.needed(&["verify", "--full", "--repair"], 0).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_makes_the_granted_calls_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    let mut repaired = with_scrolls(repair(&overheard).await);
    // No letter was there to be removed.
    assert!(repaired.actions.insert(("dynamodb:DeleteItem".to_owned(), Resource::State)));
    assert_eq!(repaired, granted(lab, &["--for", "repair"]).await);
    lab.put(Sessions::key_of(51, 0)).await;
    let needed = with_scrolls(overheard.needed(&["verify", "--full", "--patience", "1"], 1).await);
    let granted = granted(lab, &["--for", "verify"]).await;
    assert_eq!(needed, granted);
    // One item is read as all of them are, and by no other right.
    let explain = ["explain", "--key", "user_id=user-000051", "--key", "session_id=s|00000000", "--patience", "0"];
    assert_within(&overheard.needed(&explain, 1).await, &granted);
    let wait = ["await", "--key", "user_id=user-000051", "--key", "session_id=s|00000000", "--timeout", "0"];
    assert_within(&overheard.needed(&wait, 1).await, &granted);
    lab.delete(Sessions::key_of(51, 0)).await;
    assert_within(&overheard.needed(&wait, 0).await, &granted);
}

fn assert_within(asked: &Rights, granted: &Rights) {
    assert!(asked.actions.is_subset(&granted.actions), "{:?}", asked.actions);
    assert!(asked.partitions.is_subset(&granted.partitions), "{:?}", asked.partitions);
    assert!(asked.cluster.is_subset(&granted.cluster) && asked.index.is_subset(&granted.index), "{asked:?}");
}

/// `POST /await` has the rights of `run` with it, and each that it adds is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awaits_of_run_are_granted_where_they_are_wanted() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    lab.with_source("backfill = \"never\"");
    overheard.needed(&["state", "create"], 0).await;
    lab.put(Sessions::key_of(50, 0)).await;
    overheard.needed(&["run", "--until-end"], 0).await;
    let without = granted(lab, &["--for", "run"]).await;
    let text = lab.read_file(crate::lab::CONFIG);
    lab.write_file(crate::lab::CONFIG, &format!("[http]\nawait_per_second = 5\n{text}"));
    let with = granted(lab, &["--for", "run"]).await;
    let (mut run, node) = crate::e2e::program::listening(lab).await;
    overheard.forget();
    let asked = json!({"key": {"user_id": "user-000050", "session_id": "s|00000000"}});
    let (status, said) = node.ask(Method::Post, "await", asked).await;
    assert_eq!(status, 200, "{said:#}");
    let needed = overheard.asked();
    assert_within(&needed, &with);
    let added: BTreeSet<_> = with.actions.difference(&without.actions).collect();
    assert_eq!(added, BTreeSet::from([&("dynamodb:BatchGetItem".to_owned(), Resource::Table)]));
    assert!(added.iter().all(|action| needed.actions.contains(*action)), "{needed:?}");
    for (with, without, needed) in
        [(&with.cluster, &without.cluster, &needed.cluster), (&with.index, &without.index, &needed.index)]
    {
        let added: BTreeSet<_> = with.difference(without).collect();
        assert!(
            !added.is_empty() && added.iter().all(|permission| needed.contains(*permission)),
            "{added:?} {needed:?}"
        );
    }
    assert_eq!(run.stop().await.status, 0);
}

/// It closes gaps with the calls of `run`, and compares with those of `verify --repair`, each of which was overheard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_closes_gaps_is_granted_what_run_and_repair_are() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    let both = both(granted(lab, &["--for", "run"]).await, granted(lab, &["--for", "repair"]).await);
    for source in ["on_gap = \"resnapshot\"", "backfill = \"never\""] {
        lab.with_source(source);
        assert_eq!(granted(lab, &["--for", "run"]).await, both, "{source}");
    }
}

/// It follows and compares with the calls of `run` and `verify --repair`, each of which was overheard; what comes with them is
/// overheard here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_makes_the_granted_calls_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    lab.put(Sessions::key_of(50, 0)).await;
    overheard.needed(&["run", "--until-end"], 0).await;
    let text = lab.read_file(crate::lab::CONFIG);
    lab.use_group("next");
    lab.write_file(crate::lab::CONFIG, &format!("{}generation = 2\n", lab.read_file(crate::lab::CONFIG)));
    let plan = overheard.needed(&["rebuild", "--plan", "--from", "default"], 0).await;
    overheard.forget();
    let mut rebuild = lab.start(&["rebuild", "--yes", "--from", "default"]).await;
    let compares = |log: &str| log.contains("all items are being compared with their documents");
    rebuild.until_logged("it compares", crate::lab::LONG, compares).await;
    assert_eq!(rebuild.stop().await.status, 0);
    let begun = overheard.asked();
    let status = overheard.needed(&["rebuild", "--status"], 0).await;
    let abort = overheard.needed(&["rebuild", "--abort", "--yes"], 0).await;
    let mut needed = both(both(plan, begun), both(status, abort));
    let follows = both(granted(lab, &["--for", "run"]).await, granted(lab, &["--for", "repair"]).await);
    let (names, mut granted) = (std::mem::take(&mut needed.names), granted(lab, &["--for", "rebuild"]).await);
    let patterns = std::mem::take(&mut granted.names);
    for name in names {
        let is_granted = |pattern: &String| match pattern.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == *pattern,
        };
        assert!(patterns.iter().any(is_granted), "{name}: {patterns:?}");
    }
    // Of two groups, and of whoever else reads.
    assert!(granted.partitions.is_empty());
    needed = both(needed, Rights { partitions: [].into(), names: [].into(), ..follows });
    needed.partitions.clear();
    assert_eq!(needed, granted);
    lab.write_file(crate::lab::CONFIG, &text);
}

/// An engine without the sort of a point in time is listed with a scroll; which engine there will be is not known.
fn with_scrolls(mut needed: Rights) -> Rights {
    needed.cluster.extend(["indices:data/read/scroll", "indices:data/read/scroll/clear"].map(str::to_owned));
    needed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_makes_the_granted_calls_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    overheard.needed(&["state", "create"], 0).await;
    let needed = overheard.needed(&["status"], 0).await;
    assert_eq!(needed, granted(&overheard.lab, &["--for", "status"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_makes_the_granted_requests_and_no_other() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let plan = overheard.needed(&["index", "plan"], 0).await;
    let apply = overheard.needed(&["index", "apply"], 0).await;
    // Of an index that is there, a plan looks at the documents.
    let plan = both(plan, overheard.needed(&["index", "plan"], 0).await);
    assert_eq!(both(plan, apply), granted(&overheard.lab, &["--for", "index"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_ones_own_needs_less() {
    let Some(overheard) = Overheard::new(StreamViewType::NewAndOldImages).await else { return };
    let lab = &overheard.lab;
    overheard.needed(&["state", "create"], 0).await;
    overheard.needed(&["index", "apply"], 0).await;
    fill(&overheard).await;
    lab.with_source("backfill = \"never\"");
    // What set-up made under the alias is now taken for somebody else's.
    for (manage, group) in [("check", "one"), ("never", "two")] {
        let text = lab.read_file(crate::lab::CONFIG);
        let text = text.replace("manage = \"check\"\n", "").replace("settings = { number_of_replicas = 0 }\n", "");
        lab.write_file(crate::lab::CONFIG, &format!("{text}manage = \"{manage}\"\n"));
        lab.use_group(group);
        let mut needed = with_ends_of_shards(overheard.needed(&["run", "--until-end"], 1).await);
        // The index behind the name that is granted: the security plugin takes an alias for its indices.
        assert_eq!(needed.names.remove(&lab.concrete()), manage == "check");
        assert_eq!(needed, granted(lab, &["--for", "run"]).await, "{manage}");
        let text = lab.read_file(crate::lab::CONFIG);
        lab.write_file(crate::lab::CONFIG, &text.replace(&format!("group = \"{group}\"\n"), ""));
    }
}

/// The item of a shard goes when the shard is done, and DynamoDB Local's shard does not end while its stream is on.
fn with_ends_of_shards(mut needed: Rights) -> Rights {
    let is_new = needed.actions.insert(("dynamodb:DeleteItem".to_owned(), Resource::State));
    assert!(is_new, "it was made: this is not needed any more");
    needed
}

fn both(mut one: Rights, other: Rights) -> Rights {
    one.actions.extend(other.actions);
    one.partitions.extend(other.partitions);
    one.cluster.extend(other.cluster);
    one.index.extend(other.index);
    one.names.extend(other.names);
    one
}
