//! The emulators of DynamoDB, for tests that run on each of them.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};

use crate::engines::{DynamoDbLocal, Dynoxide, dynamodb_client, streams_client, unique_name};
use crate::report;

/// A running emulator.
pub struct Engine {
    /// Its name, for messages.
    pub name: &'static str,
    /// Where it listens.
    pub endpoint: String,
    /// For tables and items.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// For streams.
    pub streams: aws_sdk_dynamodbstreams::Client,
    _running: Running,
}

/// Kept while the engine is used.
enum Running {
    Local(#[allow(dead_code, reason = "kept alive")] Arc<DynamoDbLocal>),
    Dynoxide(#[allow(dead_code, reason = "kept alive")] Box<Dynoxide>),
}

/// Every engine that this machine has.
pub async fn engines() -> Vec<Engine> {
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
        let (dynamodb, streams) = (dynamodb_client(endpoint), streams_client(endpoint));
        Engine { name, endpoint: endpoint.to_owned(), dynamodb, streams, _running: running }
    }

    /// A table with the keys `pk` and `at` (N), and a stream of new and old images.
    pub async fn table(&self) -> String {
        let name = unique_name("emulated");
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let call = self.dynamodb.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
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

    /// Puts an item with a note.
    pub async fn put(&self, table: &str, pk: &str, at: u64) {
        let put = self.dynamodb.put_item().table_name(table);
        let put = put.item("pk", s(pk)).item("at", n(at)).item("note", s("x"));
        put.send().await.unwrap();
    }

    /// Switches the stream of a table on or off.
    pub async fn switch_stream(&self, table: &str, specification: StreamSpecification) {
        self.dynamodb.update_table().table_name(table).stream_specification(specification).send().await.unwrap();
    }
}

/// A stream of new and old images, or none.
pub fn stream(enabled: bool) -> StreamSpecification {
    let specification = StreamSpecification::builder().stream_enabled(enabled);
    let view = enabled.then_some(StreamViewType::NewAndOldImages);
    specification.set_stream_view_type(view).build().unwrap()
}

/// A string.
pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number.
pub fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
