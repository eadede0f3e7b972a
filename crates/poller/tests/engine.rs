//! The two emulators behind one face.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use streamdex_config::{AwsSettings, Source, StartPosition, TableReference};
use streamdex_mapping::{IndexName, Route};
use streamdex_poller::aws::SourceClients;
use streamdex_testkit::engines::{DynamoDbLocal, Dynoxide, dynamodb_client, streams_client, unique_name};
use streamdex_testkit::report;

/// A running emulator.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) clients: SourceClients,
    _running: Running,
}

/// Kept while the engine is used.
enum Running {
    Local(#[allow(dead_code, reason = "kept alive")] Arc<DynamoDbLocal>),
    Dynoxide(#[allow(dead_code, reason = "kept alive")] Box<Dynoxide>),
}

/// Every engine that this machine has.
pub(crate) async fn engines() -> Vec<Engine> {
    let mut engines = Vec::new();
    if let Some(local) = report::dynamodb_local().await {
        engines.push(Engine::at(DynamoDbLocal::LABEL, &local.endpoint_url(), Running::Local(local)));
    }
    let dynoxide = report::dynoxide();
    engines.push(Engine::at(Dynoxide::LABEL, &dynoxide.endpoint_url(), Running::Dynoxide(Box::new(dynoxide))));
    engines
}

impl Engine {
    fn at(name: &'static str, endpoint: &str, running: Running) -> Engine {
        let clients = SourceClients { dynamodb: dynamodb_client(endpoint), streams: streams_client(endpoint) };
        Engine { name, clients, _running: running }
    }

    /// A table with the keys `pk` and `at` (N), and a stream of new and old images.
    pub(crate) async fn table(&self) -> String {
        let name = unique_name("poller");
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let call = self.clients.dynamodb.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
        call.attribute_definitions(attribute("pk", ScalarAttributeType::S))
            .attribute_definitions(attribute("at", ScalarAttributeType::N))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("at", KeyType::Range))
            .stream_specification(stream(true))
            .send()
            .await
            .unwrap();
        name
    }

    pub(crate) async fn put(&self, table: &str, pk: &str, at: u64) {
        let put = self.clients.dynamodb.put_item().table_name(table);
        let put = put.item("pk", s(pk)).item("at", n(at)).item("note", s("x"));
        put.send().await.unwrap();
    }

    pub(crate) async fn switch_stream(&self, table: &str, specification: StreamSpecification) {
        self.clients
            .dynamodb
            .update_table()
            .table_name(table)
            .stream_specification(specification)
            .send()
            .await
            .unwrap();
    }
}

/// Its whole stream, into one index.
pub(crate) fn source(table: TableReference) -> Source {
    Source {
        name: "s".into(),
        table,
        region: None,
        endpoint_url: None,
        streams_endpoint_url: None,
        aws: AwsSettings::default(),
        start: StartPosition::TrimHorizon,
        freshness: Source::DEFAULT_FRESHNESS,
        routes: vec![Route::to(IndexName::parse("sessions").unwrap())],
    }
}

pub(crate) fn stream(enabled: bool) -> StreamSpecification {
    let specification = StreamSpecification::builder().stream_enabled(enabled);
    let view = enabled.then_some(StreamViewType::NewAndOldImages);
    specification.set_stream_view_type(view).build().unwrap()
}

pub(crate) fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
