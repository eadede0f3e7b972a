//! The writer against real nodes: positions survive `filter_path`, and each kind of answer is met for real.

use std::time::Duration;

use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_config::{Auth, AwsSettings};
use streamdex_mapping::{Action, CreationTime, ExternalVersion, IndexName, Operation, Outcome};
use streamdex_sink::{BulkWriter, Client, Decision, Pause, PauseReason};
use streamdex_testkit::engines::{SearchEngine, unique_name};
use streamdex_testkit::report;

use crate::support::{applied, operation, settings, writer};

const LIMIT: Duration = Duration::from_secs(60);

struct Index {
    client: Client,
    name: IndexName,
    concrete: String,
}

impl Index {
    async fn create(client: &Client) -> Index {
        let name = IndexName::parse(&unique_name("writer")).unwrap();
        let concrete = format!("{name}-000001");
        let body = json!({
            "settings": {"number_of_shards": 2, "number_of_replicas": 0},
            "mappings": {"properties": {"age": {"type": "long"}}}
        });
        let answer = client.json(Method::Put, &concrete, Some(&body)).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
        Index { client: client.clone(), name, concrete }
    }

    fn write(&self, id: &str, seconds: u32, document: &str) -> Operation {
        let mut made = operation(id, document.as_bytes().to_vec());
        made.address.index = self.name.clone();
        made.version = ExternalVersion::of_change(CreationTime::from_seconds(seconds), None);
        made
    }

    fn delete(&self, id: &str, seconds: u32) -> Operation {
        Operation { action: Action::Delete, ..self.write(id, seconds, "{}") }
    }

    /// Writes so many documents in a separate task.
    fn write_many(&self, writer: &BulkWriter, count: usize) -> tokio::task::JoinHandle<Vec<Decision>> {
        let operations = (0..count).map(|n| self.write(&format!("d{n}"), 1, "{}")).collect();
        let writer = writer.clone();
        tokio::spawn(async move { writer.write(operations).await })
    }

    async fn block(&self, block: Value) {
        self.set(json!({"index.blocks.write": block})).await;
    }

    async fn set(&self, body: Value) {
        let answer = self.client.json(Method::Put, &format!("{}/_settings", self.concrete), Some(&body)).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
    }

    async fn count(&self) -> u64 {
        self.client.json(Method::Post, &format!("{}/_refresh", self.concrete), None).await.unwrap();
        let answer = self.client.json(Method::Get, &format!("{}/_count", self.concrete), None).await.unwrap();
        answer.json::<Value>().unwrap()["count"].as_u64().unwrap()
    }
}

async fn each_answer_has_its_position(client: &Client, real: bool) {
    let settings = settings(&format!("http://{}", client.endpoint()), Auth::None);
    let (writer, _cancel) = writer(client.clone(), &settings);
    let index = Index::create(client).await;
    assert_eq!(applied(&writer.write(vec![index.write("new", 9, "{}"), index.write("old", 1, "{}")]).await), 2);
    let batch = vec![
        index.write("a", 1, r#"{"age":1}"#),
        index.write("new", 5, "{}"),
        index.delete("never", 5),
        index.delete("old", 5),
        index.write("b", 1, r#"{"age":"S3CRET"}"#),
        index.write("equal \"id\" \\ \u{1}é", 9, "{}"),
        index.write("c", 1, r#"{"age":2}"#),
    ];
    let decisions = writer.write(batch).await;
    let outcomes: Vec<_> = decisions.iter().map(Decision::outcome).collect();
    let refused = real.then_some(Outcome::DeadLettered).or(outcomes[4]);
    let expected = [
        Some(Outcome::Applied),
        Some(Outcome::Superseded),
        Some(Outcome::Absent),
        Some(Outcome::Applied),
        refused,
        Some(Outcome::Applied),
        Some(Outcome::Applied),
    ];
    assert_eq!(outcomes, expected);
    if let Decision::Refused(refusal) = &decisions[4] {
        assert_eq!(refusal.message, "the value of field [age] is no long");
    }
    assert!(!format!("{decisions:?}{:?}", writer.stats()).contains("S3CRET"));
    let many =
        (0..3000).map(|n| index.write(&format!("d{n}"), 2, &format!(r#"{{"age":{n},"text":"{}"}}"#, "x".repeat(1000))));
    assert_eq!(applied(&writer.write(many.collect()).await), 3000);
    assert!(index.count().await >= 3004);
}

async fn a_write_block_holds_until_it_is_lifted(client: &Client) {
    let settings = settings(&format!("http://{}", client.endpoint()), Auth::None);
    let (writer, _cancel) = writer(client.clone(), &settings);
    let (blocked, free) = (Index::create(client).await, Index::create(client).await);
    blocked.block(json!(true)).await;
    let writing = tokio::spawn({
        let (writer, operations) =
            (writer.clone(), (0..50).map(|n| blocked.write(&format!("d{n}"), 1, "{}")).collect());
        async move { writer.write(operations).await }
    });
    writer
        .watch_pauses()
        .wait_for(|pauses| pauses.iter().any(|pause| pause.reason == PauseReason::ReadOnly))
        .await
        .unwrap();
    assert_eq!(applied(&writer.write(vec![free.write("x", 1, "{}")]).await), 1);
    blocked.block(Value::Null).await;
    assert_eq!(applied(&tokio::time::timeout(LIMIT, writing).await.unwrap().unwrap()), 50);
    assert_eq!(blocked.count().await, 50);
}

/// A default pipeline that does not exist refuses every document, and lets deletes pass. These nodes run no pipelines, so
/// that it breaks every whole request with the index instead.
async fn a_missing_pipeline_trips_the_brake(client: &Client) {
    let settings = settings(&format!("http://{}", client.endpoint()), Auth::None);
    let (writer, _cancel) = writer(client.clone(), &settings);
    let index = Index::create(client).await;
    assert_eq!(applied(&writer.write(vec![index.write("gone", 1, "{}")]).await), 1);
    index.set(json!({"index.default_pipeline": "does-not-exist"})).await;
    let refused = index.write_many(&writer, 200);
    braked(&writer).await;
    let pause = writer.pauses().remove(0).to_string();
    assert!(pause.contains("documents in a row; the last: ") || pause.contains("illegal_state"), "{pause}");
    let other = Index::create(client).await;
    assert_eq!(applied(&writer.write(vec![other.write("x", 1, "{}")]).await), 1);
    assert_eq!(applied(&tokio::time::timeout(LIMIT, writer.write(vec![index.delete("gone", 2)])).await.unwrap()), 1);
    assert_eq!(writer.braked().len(), 1, "a delete does not end it");
    index.set(json!({"index.default_pipeline": Value::Null})).await;
    assert_eq!(applied(&tokio::time::timeout(LIMIT, refused).await.unwrap().unwrap()), 200);
    assert_eq!(index.count().await, 200);
}

/// Where a second index comes behind an alias, none of them is the one to write to.
async fn an_alias_without_a_write_index_trips_the_brake(client: &Client) {
    let settings = settings(&format!("http://{}", client.endpoint()), Auth::None);
    let (writer, _cancel) = writer(client.clone(), &settings);
    let name = IndexName::parse(&unique_name("alias")).unwrap();
    let index = Index { client: client.clone(), concrete: format!("{name}-000001"), name };
    for suffix in ["x", "y"] {
        let body = json!({"aliases": {(&index.concrete): {}}});
        let made = client.json(Method::Put, &format!("{}-{suffix}", index.name), Some(&body)).await.unwrap();
        assert!(made.is_success(), "{made:?}");
    }
    let mut operations: Vec<Operation> = (0..100).map(|n| index.write(&format!("d{n}"), 1, "{}")).collect();
    operations.extend((0..20).map(|n| index.delete(&format!("e{n}"), 1)));
    let refused = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(operations).await }
    });
    braked(&writer).await;
    let add = json!({"actions": [{"add": {"index": format!("{}-x", index.name), "alias": index.concrete, "is_write_index": true}}]});
    assert!(client.json(Method::Post, "_aliases", Some(&add)).await.unwrap().is_success());
    let decisions = tokio::time::timeout(LIMIT, refused).await.unwrap().unwrap();
    assert!(decisions.iter().all(|decision| matches!(decision, Decision::Done(_))), "{decisions:?}");
}

/// No node may have its shards.
async fn a_red_index_does_not_hold_up_another_one(client: &Client) {
    let mut settings = settings(&format!("http://{}", client.endpoint()), Auth::None);
    settings.request_timeout = Duration::from_secs(8);
    let client = Client::connect(&settings, &AwsSettings::default()).await.unwrap();
    let (writer, _cancel) = writer(client.clone(), &settings);
    let free = Index::create(&client).await;
    let name = IndexName::parse(&unique_name("red")).unwrap();
    let red = Index { client: client.clone(), concrete: format!("{name}-000001"), name };
    let body = json!({"settings": {"number_of_replicas": 0, "index.routing.allocation.require._name": "nowhere"}});
    let path = format!("{}?wait_for_active_shards=0", red.concrete);
    assert!(client.json(Method::Put, &path, Some(&body)).await.unwrap().is_success());
    let waiting = red.write_many(&writer, 100);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut slow = 0;
    for n in 0..40 {
        let began = std::time::Instant::now();
        assert_eq!(applied(&writer.write(vec![free.write(&format!("d{n}"), 1, "{}")]).await), 1);
        slow += usize::from(began.elapsed() > Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(slow <= 2, "{slow} of 40 writes to a healthy index waited for the red one");
    red.set(json!({"index.routing.allocation.require._name": Value::Null})).await;
    assert_eq!(applied(&tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap()), 100);
}

async fn braked(writer: &BulkWriter) {
    let is_braked = |pauses: &Vec<Pause>| pauses.iter().any(|pause| pause.reason == PauseReason::DocumentsRefused);
    let waited = tokio::time::timeout(LIMIT, writer.watch_pauses().wait_for(is_braked)).await.is_ok();
    assert!(waited, "{:?} {:?}", writer.pauses(), writer.stats());
}

#[tokio::test]
async fn refusals_and_outages_of_real_nodes() {
    for engine in SearchEngine::ALL.into_iter().filter(|engine| *engine != SearchEngine::Osmem) {
        let Some(node) = report::search_node(engine).await else { continue };
        let client = Client::connect(&settings(&node.url(), Auth::None), &AwsSettings::default()).await.unwrap();
        a_missing_pipeline_trips_the_brake(&client).await;
        an_alias_without_a_write_index_trips_the_brake(&client).await;
        a_red_index_does_not_hold_up_another_one(&client).await;
    }
}

#[tokio::test]
async fn writers_and_real_nodes() {
    for engine in SearchEngine::ALL {
        let Some(node) = report::search_node(engine).await else { continue };
        let client = Client::connect(&settings(&node.url(), Auth::None), &AwsSettings::default()).await.unwrap();
        let real = engine != SearchEngine::Osmem;
        each_answer_has_its_position(&client, real).await;
        if real {
            a_write_block_holds_until_it_is_lifted(&client).await;
        }
    }
}
