//! Makes the table and fills it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PutRequest, ScalarAttributeType, StreamSpecification,
    StreamViewType, WriteRequest,
};
use tokio::task::JoinSet;

use crate::shop::{Item, items};

/// `BatchWriteItem` takes no more.
const BATCH: usize = 25;
const AT_ONCE: usize = 8;
/// A stream that is as old as its table holds all of it, and nothing would be left to fill.
const YOUNGER: Duration = Duration::from_secs(12);

/// Makes the table without a stream, fills it, and switches the stream on, as a table that has been in use for long; how many
/// items it has.
pub(crate) async fn table(client: &Client, name: &str, orders: u32) -> anyhow::Result<usize> {
    let begun = Instant::now();
    make(client, name).await?;
    let (mut count, mut writing) = (0, JoinSet::new());
    let mut items = items(orders).peekable();
    while items.peek().is_some() {
        let batch: Vec<Item> = items.by_ref().take(BATCH).collect();
        count += batch.len();
        if writing.len() >= AT_ONCE
            && let Some(written) = writing.join_next().await
        {
            written??;
        }
        writing.spawn(write(client.clone(), name.to_owned(), batch));
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    tokio::time::sleep(YOUNGER.saturating_sub(begun.elapsed())).await;
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let call = client.update_table().table_name(name).stream_specification(stream.build()?);
    call.send().await.context("switching the stream on")?;
    Ok(count)
}

async fn make(client: &Client, name: &str) -> anyhow::Result<()> {
    let mut call = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
        let part = KeySchemaElement::builder().attribute_name(key).key_type(kind);
        call = call.attribute_definitions(attribute.build()?).key_schema(part.build()?);
    }
    call.send().await.context("making the table")?;
    Ok(())
}

async fn write(client: Client, table: String, batch: Vec<Item>) -> anyhow::Result<()> {
    let put = |item| {
        anyhow::Ok(WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build()?).build())
    };
    let requests = batch.into_iter().map(put).collect::<anyhow::Result<Vec<_>>>()?;
    let answer = client.batch_write_item().request_items(table, requests).send().await.context("filling the table")?;
    ensure!(answer.unprocessed_items.unwrap_or_default().is_empty(), "DynamoDB Local did not take all items");
    Ok(())
}
