//! The table of the sessions.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification,
};

use super::sessions::{PARTITION_KEY, SORT_KEY, TTL};

/// A table that was created.
#[derive(Debug, Clone)]
pub struct SessionsTable {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its stream's ARN.
    pub stream_arn: String,
}

/// Creates a table with partition and sort key, TTL and a stream.
///
/// # Panics
/// When the emulator refuses.
pub async fn create_sessions_table(client: &Client, name: &str, view: StreamViewType) -> SessionsTable {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let text = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build().unwrap();
    let created = client
        .create_table()
        .table_name(name)
        .key_schema(key(PARTITION_KEY, KeyType::Hash))
        .key_schema(key(SORT_KEY, KeyType::Range))
        .attribute_definitions(text(PARTITION_KEY))
        .attribute_definitions(text(SORT_KEY))
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream)
        .send()
        .await
        .unwrap();
    let ttl = TimeToLiveSpecification::builder().attribute_name(TTL).enabled(true).build().unwrap();
    client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await.unwrap();
    let described = created.table_description.unwrap();
    SessionsTable {
        name: name.to_owned(),
        arn: described.table_arn.unwrap(),
        stream_arn: described.latest_stream_arn.unwrap(),
    }
}
