//! The writer against real nodes: positions survive `filter_path`, and each kind of answer is met for real.

use std::time::Duration;

use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_config::{Auth, AwsSettings};
use streamdex_mapping::{Action, CreationTime, ExternalVersion, IndexName, Operation, Outcome};
use streamdex_sink::{Client, Decision, PauseReason};
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

    async fn block(&self, block: Value) {
        let body = json!({"index.blocks.write": block});
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
