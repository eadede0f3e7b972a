//! What is deleted beside dead letters, and where: against a scripted OpenSearch.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::Config;
use streamdex_delivery::letter::FileLetters;
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault, DeliveryProgress, PageOutcome, ReadMemory};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::item::{Found, ItemRead, ItemReader};
use streamdex_mapping::event::read_captured;
use streamdex_mapping::{Key, Mapper, Outcome, Trust};
use streamdex_sink::index::{Indices, SetupContext};
use streamdex_sink::{BulkWriter, Client, Patience, WriterSettings};
use streamdex_testkit::fault::{BulkOperation, FaultServer, Recorded, Reply, Rule};
use tokio_util::sync::CancellationToken;

const NO_INDEX: &str = r#"{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}"#;

/// A table with one item, which is the same for every key.
struct OneItem(&'static str);

#[async_trait]
impl ItemReader for OneItem {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        let read =
            || ItemRead { found: Found::Item(self.0.into()), at: 1_700_000_100, answered: tokio::time::Instant::now() };
        Ok(keys.iter().map(|_| read()).collect())
    }
}

struct Delivered {
    outcome: PageOutcome,
    letters: Vec<serde_json::Value>,
}

/// Delivers one record under two routes, `x` for k = "x" and `rest`.
async fn deliver(server: &FaultServer, manage: &str, trust: Trust, record: &str) -> Delivered {
    let text = format!(
        r#"
        source = {{ table = "table" }}
        opensearch = {{ url = "{}" }}
        route = [{{ index = "x", id = ["pk"], when = {{ attribute = "k", equals = "x" }} }}, {{ index = "rest", id = ["pk"] }}]
        index.x = {{ manage = "{manage}" }}
        index.rest = {{ manage = "{manage}" }}
        "#,
        server.url()
    );
    let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
    let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
    let indices = Arc::new(Indices::new(client.clone(), &config, &SetupContext::new()));
    let cancel = CancellationToken::new();
    let seconds = Duration::from_secs;
    let patience = Patience::OneShot { at_start: seconds(3), later: seconds(3) };
    let settings = WriterSettings::new(&config.opensearch, patience);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.ndjson");
    let delivery = Delivery {
        table: "table".to_owned(),
        mapper: Arc::new(Mapper::new(config.sources[0].routes.clone())),
        reader: Some(Arc::new(OneItem(r#"{"pk":{"S":"a"},"bad":{"N":"1x"}}"#))),
        indices: indices.clone(),
        writer: BulkWriter::start(client, indices, settings, cancel.clone()),
        letters: Arc::new(FileLetters::new(&path)),
        patience,
        progress: DeliveryProgress::under_way(),
        memory: ReadMemory::default(),
    };
    let mut page = Page::default();
    read_captured(record, |_, record| page.add(&delivery.mapper, record, trust)).unwrap();
    let outcome = delivery.deliver_page(page, &Bounds::from(cancel)).await;
    let lines = std::fs::read_to_string(&path).unwrap_or_default();
    Delivered { outcome, letters: lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect() }
}

fn record(event: &str, images: &str) -> String {
    format!(
        r#"{{"eventName":"{event}","dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"a"}}}},"SequenceNumber":"1"{images}}}}}"#
    )
}

fn sent(server: &FaultServer) -> Vec<String> {
    let operations = server.bulk_requests().iter().flat_map(Recorded::operations).collect::<Vec<BulkOperation>>();
    let mut sent: Vec<_> =
        operations.iter().map(|operation| format!("{}/{}", operation.index(), operation.id())).collect();
    sent.sort();
    sent
}

#[tokio::test]
async fn d1_a_remove_whose_old_image_is_unreadable_deletes_and_is_a_dead_letter_all_the_same() {
    let server = FaultServer::scripted();
    let removed = record("REMOVE", r#","OldImage":[]"#);
    let delivered = deliver(&server, "never", Trust::InOrder, &removed).await;
    assert_eq!(sent(&server), ["rest/a", "x/a"]);
    assert_eq!(delivered.outcome.outcomes, [Some(Outcome::DeadLettered)]);
    assert_eq!(delivered.letters.len(), 1);
    let error = delivered.letters[0]["error"].as_str().unwrap();
    assert!(error.contains("a document at an earlier address may be left over"), "{error}");
}

#[tokio::test]
async fn d1_the_letter_of_an_unreadable_new_image_names_where_the_old_document_stays() {
    let server = FaultServer::scripted();
    let changed = record("MODIFY", r#","OldImage":{"pk":{"S":"a"},"k":{"S":"x"}},"NewImage":7"#);
    let delivered = deliver(&server, "never", Trust::InOrder, &changed).await;
    assert!(sent(&server).is_empty());
    assert_eq!(delivered.outcome.outcomes, [Some(Outcome::DeadLettered)]);
    let letter = &delivered.letters[0];
    assert_eq!((&letter["index"], &letter["id"]), (&"x".into(), &"a".into()), "{letter}");
}

#[tokio::test]
async fn d1_an_item_that_is_read_and_is_bad_is_deleted_where_it_does_not_belong() {
    let server = FaultServer::scripted();
    let changed = record("MODIFY", r#","OldImage":{"pk":{"S":"a"},"k":{"S":"x"}}"#);
    let delivered = deliver(&server, "never", Trust::ReadItem, &changed).await;
    assert_eq!(sent(&server), ["x/a"]);
    assert_eq!(delivered.outcome.outcomes, [Some(Outcome::DeadLettered)]);
    assert_eq!(delivered.letters[0]["index"], "rest");
}

#[tokio::test]
async fn d2_a_delete_never_makes_an_index() {
    let server = FaultServer::scripted();
    server.add(Rule::when(|request| request.path.contains("-000001")).answer(Reply::json(404, NO_INDEX)));
    let removed = record("REMOVE", r#","OldImage":{"pk":{"S":"a"}}"#);
    let delivered = deliver(&server, "create", Trust::InOrder, &removed).await;
    assert_eq!(delivered.outcome.outcomes, [Some(Outcome::Absent)]);
    assert!(delivered.outcome.indices.is_empty());
    let asked: Vec<_> =
        server.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    // Asked twice, and nothing else was.
    assert_eq!(asked, vec!["GET /rest-000001?flat_settings=true"; 2]);
}

#[tokio::test]
async fn d2_an_answer_that_is_not_opensearchs_own_does_not_prove_that_there_is_no_index() {
    for reply in [Reply::html(200, "<html>"), Reply::html(404, "not here"), Reply::json(200, "{}")] {
        let server = FaultServer::scripted();
        server.add(Rule::any().times(1).answer(reply));
        server.add(Rule::when(|request| request.path.contains("-000001")).answer(Reply::html(404, "not here")));
        let removed = record("REMOVE", r#","OldImage":{"pk":{"S":"a"}}"#);
        let delivered = deliver(&server, "create", Trust::InOrder, &removed).await;
        assert_eq!(delivered.outcome.outcomes, [None]);
        assert!(matches!(delivered.outcome.fault, Some(DeliveryFault::Setup(_))), "{:?}", delivered.outcome.fault);
    }
}
