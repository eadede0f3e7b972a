//! A table that is older than its stream: `run` fills an empty index by itself, and `backfill` fills another one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    BillingMode, DeleteRequest, ProvisionedThroughput, PutRequest, StreamViewType, WriteRequest,
};
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::workload::{Item, Sessions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use super::program::Running;
use crate::lab::{LONG, Lab, id, now};

const VIEW: StreamViewType = StreamViewType::NewAndOldImages;
/// Items that the table holds before its stream; a full run takes 200,000.
const ITEMS: &str = "STREAMDEX_BACKFILL_ITEMS";
/// Writes a second, 25 at a time: DynamoDB Local takes 200 single ones.
const LOAD: u32 = 500;
const BATCH: u32 = 25;
/// What the table is provisioned with: a scan takes half of it, and leaves DynamoDB Local time for all else.
pub(super) const READ_UNITS: i64 = 400;

fn items() -> u32 {
    std::env::var(ITEMS).ok().and_then(|items| items.parse().ok()).unwrap_or(4_000)
}

/// Puts and deletes of any item, until it is stopped.
pub(super) struct BatchedLoad {
    stop: oneshot::Sender<()>,
    task: JoinHandle<u32>,
}

impl BatchedLoad {
    pub(super) fn start(client: Client, table: String, items: u32) -> BatchedLoad {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let (mut random, mut sessions) = (fastrand::Rng::with_seed(9), Sessions::new(9, now()));
            let mut ticks = interval(Duration::from_secs(1) * BATCH / LOAD);
            let mut written = 0;
            loop {
                tokio::select! {
                    _ = &mut stopped => return written,
                    _ = ticks.tick() => {}
                }
                let mut requests = BTreeMap::new();
                for _ in 0..BATCH {
                    let number = random.u32(..items);
                    let key = Sessions::key_of(number / 4, number % 4);
                    let request = if random.u8(..10) < 3 { delete(key) } else { put(sessions.item(key)) };
                    requests.insert(number, request);
                }
                written += u32::try_from(requests.len()).unwrap();
                let requests = HashMap::from([(table.clone(), requests.into_values().collect())]);
                client.batch_write_item().set_request_items(Some(requests)).send().await.unwrap();
            }
        });
        BatchedLoad { stop, task }
    }

    pub(super) async fn stop(self) -> u32 {
        let _ = self.stop.send(());
        self.task.await.unwrap()
    }
}

fn put(item: Item) -> WriteRequest {
    let request = PutRequest::builder().set_item(Some(item.into_iter().collect())).build().unwrap();
    WriteRequest::builder().put_request(request).build()
}

fn delete(key: Item) -> WriteRequest {
    let request = DeleteRequest::builder().set_key(Some(key.into_iter().collect())).build().unwrap();
    WriteRequest::builder().delete_request(request).build()
}

impl Lab {
    pub(super) async fn provision(&self, read_units: i64) {
        let throughput = ProvisionedThroughput::builder().read_capacity_units(read_units).write_capacity_units(10_000);
        let call = self.client.update_table().table_name(&self.table.name).billing_mode(BillingMode::Provisioned);
        call.provisioned_throughput(throughput.build().unwrap()).send().await.unwrap();
    }

    async fn record(&self) -> Option<Item> {
        self.state_rows("sk", "segments").await.pop()
    }

    async fn until_recorded(&self, what: &str, is_it: impl Fn(&Item) -> bool, log: impl Fn() -> String) {
        let waited = timeout(LONG * 3, async {
            while !self.record().await.is_some_and(|record| is_it(&record)) {
                sleep(Duration::from_millis(200)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}\n{}", self.record().await, log());
    }

    /// How many bulk requests a worker has sent.
    async fn requests_of(&self, worker: &Running) -> u64 {
        let log = worker.stderr();
        let address = log.split_once("address=").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap();
        let status = self.end(&["status", "--url", &format!("http://{address}"), "--json"]).await;
        let report: Value = serde_json::from_str(&status.stdout).unwrap_or_else(|_| panic!("{}", status.stderr));
        report["writer"]["requests"].as_u64().unwrap_or_else(|| panic!("{report}"))
    }

    async fn status(&self) -> Value {
        let status = self.end(&["status", "--json"]).await;
        serde_json::from_str::<Value>(&status.stdout).unwrap_or_else(|_| panic!("{}", status.stderr))["tables"][0]
            .take()
    }
}

/// A table with items, whose stream holds none of them.
async fn older_than_its_stream(items: u32) -> Option<Lab> {
    let lab = Lab::on_opensearch(VIEW).await?;
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    lab.hold_before_the_stream(items).await;
    Some(lab)
}

fn is_complete(record: &Item) -> bool {
    record["state"].as_s().is_ok_and(|state| state == "complete")
}

fn number(record: &Item, name: &str) -> u32 {
    record[name].as_n().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_fills_an_empty_index_under_load_and_goes_on_after_a_kill() {
    let items = items();
    let Some(lab) = older_than_its_stream(items).await else { return };
    lab.provision(READ_UNITS).await;
    let load = BatchedLoad::start(lab.client.clone(), lab.table.name.clone(), items + items / 10);
    let mut reader = lab.start(&["run"]).await;
    let is_under_way = |record: &Item| number(record, "items") > 0;
    lab.until_recorded("it does not begin", is_under_way, || reader.stderr()).await;
    assert!(reader.stderr().contains("filling the empty index"), "{}", reader.stderr());
    reader.kill();
    let mut reader = lab.start(&["run"]).await;
    lab.until_recorded("it does not end", is_complete, || reader.stderr()).await;
    load.stop().await;
    lab.until_equal("after the backfill", || reader.stderr()).await;
    let status = lab.status().await;
    assert_eq!((&status["phase"], &status["backfill"]), (&json!("complete"), &Value::Null), "{status}");
    assert_eq!(reader.stop().await.status, 0);
    lab.no_letters().await;
    let verified = lab.end(&["verify", "--full", "--json"]).await;
    assert_eq!(verified.status, 0, "{}", verified.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backfill_fills_beside_a_reader_goes_on_where_it_was_and_brings_nothing_back() {
    let Some(lab) = older_than_its_stream(600).await else { return };
    lab.with_source("backfill = \"never\"");
    let refused = lab.end(&["backfill", "--yes"]).await;
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("nobody follows the stream") && refused.stderr.contains("--beside-lambda"),
        "{}",
        refused.stderr
    );
    let plan = lab.end(&["backfill", "--plan", "--json"]).await;
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap_or_else(|_| panic!("{}", plan.stderr));
    assert_eq!(plan["items"], 600, "{plan}");

    let mut reader = lab.start(&["run", "--listen", "127.0.0.1:0"]).await;
    // The changes of the stream make the index, which is not empty then.
    let gone = Sessions::key_of(0, 0);
    lab.put(Sessions::new(1, now()).item(Sessions::key_of(900, 0))).await;
    lab.put(Sessions::new(1, now()).item(gone.clone())).await;
    lab.until_indexed(&id(&Sessions::key_of(900, 0))).await;
    assert!(reader.stderr().contains("run `streamdex backfill` to write the missing items"), "{}", reader.stderr());
    let status = lab.status().await;
    assert_eq!((&status["phase"], &status["backfill"]), (&json!("partial"), &Value::Null), "{status}");

    // A process that is killed, and one that stops in good order.
    let mut filling = lab.start(&["backfill", "--yes", "--segments", "2", "--max-documents", "20"]).await;
    let some = |record: &Item| number(record, "items") > 0;
    lab.until_recorded("the first process does not begin", some, || filling.stderr()).await;
    filling.kill();
    let at = number(&lab.record().await.unwrap(), "items");
    // An item goes, and the index forgets that.
    lab.delete(gone.clone()).await;
    lab.until_gone(&id(&gone)).await;
    let requests = lab.requests_of(&reader).await;
    lab.forget_tombstones().await;
    let mut filling = lab.start(&["backfill", "--yes", "--max-documents", "20"]).await;
    let more = |record: &Item| number(record, "items") > at;
    lab.until_recorded("the second process does not go on", more, || filling.stderr()).await;
    filling.signal("INT");
    let ended = filling.ended(Duration::from_secs(20)).await;
    assert!(ended.status == 3 && ended.stderr.contains("run the same command again to continue"), "{}", ended.stderr);
    assert_eq!(lab.status().await["backfill"]["owner"], Value::Null);

    let ended = lab.end(&["backfill", "--yes", "--json"]).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["state"], "complete", "{report}");
    assert!(report["records"].as_u64() < Some(600) && report["items"].as_u64() >= Some(600), "{report}");
    lab.until_equal("after the backfill", || reader.stderr()).await;
    // Nothing was written since but by the other processes: it is the delete, a minute later.
    let sent_again = timeout(LONG * 2, async {
        while lab.requests_of(&reader).await == requests {
            sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(sent_again.await.is_ok(), "while somebody fills, deletes are sent twice: {}", reader.stderr());
    let again = lab.end(&["backfill", "--yes"]).await;
    assert!(again.status == 0 && again.stderr.contains("--restart"), "{}", again.stderr);
    assert_eq!(lab.status().await["phase"], "complete");
    assert_eq!(reader.stop().await.status, 0);
    lab.no_letters().await;
}

impl Lab {
    async fn until_indexed(&self, id: &str) {
        self.until_found(id, 200).await;
    }

    async fn until_gone(&self, id: &str) {
        self.until_found(id, 404).await;
    }

    async fn until_found(&self, id: &str, expected: u16) {
        let path = format!("{}/_doc/{}", self.index, id.replace('|', "%7C").replace('\\', "%5C"));
        let waited = timeout(LONG, async {
            while self.ask(Method::Get, &path).await.0 != expected {
                sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(waited.await.is_ok(), "{id}: not {expected}");
    }

    async fn forget_tombstones(&self) {
        for action in ["_flush", "_close", "_open"] {
            let (status, answer) = self.ask(Method::Post, &format!("{}/{action}", self.concrete())).await;
            assert_eq!(status, 200, "{action}: {answer}");
        }
    }
}
