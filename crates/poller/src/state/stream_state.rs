//! A group's progress on one stream, in the state table.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_mapping::SequenceNumber;
use streamdex_sink::index::KnownIndex;

use crate::fault::{AwsError, Fault};
use crate::gap::Gap;
use crate::state::keys::{Partition, SortKey};
use crate::state::rows::{FORMAT, of_number, read_all, sortable, write_generations, write_index, write_start};
use crate::state::{Checkpointed, Generations, Item, Loaded, ProgressStore, StateError, StateTable, StreamStart};
use crate::stream::ShardId;

/// Finished shards are kept for a week: longer than their children stay in the stream.
const KEEP_FINISHED_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The items of one group about one stream of one table.
#[derive(Debug, Clone)]
pub struct StreamState {
    table: StateTable,
    partition: String,
    label: String,
    generations: Generations,
    /// Who writes; shown to people, and the owner once shards are leased.
    worker: String,
}

// === impl StreamState ===

impl StreamState {
    /// The items of `table`'s group about the stream `label` of the table `table_arn`. Checkpoints will
    /// say that they were made with `generations`, by `worker`.
    pub fn new(table: StateTable, table_arn: &str, label: &str, generations: Generations, worker: &str) -> StreamState {
        let partition = Partition::Follow { group: &table.group, table_arn }.key();
        StreamState { partition, table, label: label.to_owned(), generations, worker: worker.to_owned() }
    }

    /// Forgets everything that the group knows about the table: it will begin anew. Dead letters stay.
    ///
    /// # Errors
    /// A call failed; what was deleted before stays deleted.
    pub async fn clear(&self) -> Result<(), StateError> {
        for item in self.query().await? {
            let Some(AttributeValue::S(sort_key)) = item.get("sk") else { continue };
            let call = self.table.client.delete_item().table_name(&self.table.name);
            let call = call
                .key("pk", AttributeValue::S(self.partition.clone()))
                .key("sk", AttributeValue::S(sort_key.clone()));
            Box::pin(call.send())
                .await
                .map_err(|error| self.failed("DeleteItem", AwsError::from_sdk("DeleteItem", &error)))?;
        }
        Ok(())
    }

    async fn query(&self) -> Result<Vec<Item>, StateError> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let call = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(self.partition.clone()))
                .set_exclusive_start_key(after)
                .send();
            let page = Box::pin(call).await.map_err(|error| self.table.failed(AwsError::from_sdk("Query", &error)))?;
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key.filter(|key| !key.is_empty());
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// A put that does nothing where the item is there already.
    async fn put_new(&self, key: &SortKey, attributes: Item) -> Result<Checkpointed, StateError> {
        let mut item = attributes;
        item.insert("pk".to_owned(), AttributeValue::S(self.partition.clone()));
        item.insert("sk".to_owned(), AttributeValue::S(key.text()));
        item.insert("v".to_owned(), of_number(FORMAT));
        let call = self.table.client.put_item().table_name(&self.table.name).set_item(Some(item));
        let call = call.condition_expression("attribute_not_exists(pk)").send();
        settled(Box::pin(call).await.map_err(|error| AwsError::from_sdk("PutItem", &error)))
            .map_err(|error| self.failed("PutItem", error))
    }

    /// An update of the shard's own fields: what later versions add to the item survives.
    fn update(&self, shard: &ShardId, expression: &str) -> UpdateItemFluentBuilder {
        let key = SortKey::Shard { label: self.label.clone(), shard: shard.as_str().to_owned() };
        self.table
            .client
            .update_item()
            .table_name(&self.table.name)
            .key("pk", AttributeValue::S(self.partition.clone()))
            .key("sk", AttributeValue::S(key.text()))
            .update_expression(expression)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":v", of_number(FORMAT))
            .expression_attribute_values(":generations", write_generations(&self.generations))
            .expression_attribute_values(":updated", of_number(now()))
            .expression_attribute_values(":worker", AttributeValue::S(self.worker.clone()))
    }

    fn failed(&self, operation: &'static str, error: AwsError) -> StateError {
        tracing::debug!(operation, error = %error, "state table call failed");
        self.table.failed(error)
    }
}

#[async_trait]
impl ProgressStore for StreamState {
    async fn load(&self) -> Result<Loaded, StateError> {
        read_all(&self.query().await?, &self.label)
    }

    async fn pin(&self, start: &StreamStart) -> Result<StreamStart, StateError> {
        let key = SortKey::Stream { label: self.label.clone() };
        match self.put_new(&key, write_start(start)).await? {
            Checkpointed::Stored => Ok(start.clone()),
            Checkpointed::Overtaken => Ok(self.load().await?.start.unwrap_or_else(|| start.clone())),
        }
    }

    async fn begin(&self, shard: &ShardId, parent: Option<&ShardId>) -> Result<(), StateError> {
        let key = SortKey::Shard { label: self.label.clone(), shard: shard.as_str().to_owned() };
        let mut item = Item::from([
            ("state".to_owned(), AttributeValue::S("open".to_owned())),
            ("generations".to_owned(), write_generations(&self.generations)),
            ("updated".to_owned(), of_number(now())),
            ("worker".to_owned(), AttributeValue::S(self.worker.clone())),
        ]);
        if let Some(parent) = parent {
            item.insert("parent".to_owned(), AttributeValue::S(parent.as_str().to_owned()));
        }
        self.put_new(&key, item).await.map(drop)
    }

    async fn checkpoint(&self, shard: &ShardId, position: &SequenceNumber) -> Result<Checkpointed, StateError> {
        const SET: &str = "SET v = :v, #state = if_not_exists(#state, :open), #position = :position, #order = :order, \
                           generations = :generations, updated = :updated, worker = :worker";
        let call = self
            .update(shard, SET)
            .condition_expression("attribute_not_exists(#order) OR #order <= :order")
            .expression_attribute_names("#position", "position")
            .expression_attribute_names("#order", "order")
            .expression_attribute_values(":open", AttributeValue::S("open".to_owned()))
            .expression_attribute_values(":position", AttributeValue::S(position.as_str().to_owned()))
            .expression_attribute_values(":order", AttributeValue::S(sortable(position)))
            .send();
        let answer = Box::pin(call).await.map_err(|error| AwsError::from_sdk("UpdateItem", &error));
        settled(answer).map_err(|error| self.failed("UpdateItem", error))
    }

    async fn finish(&self, shard: &ShardId) -> Result<(), StateError> {
        const SET: &str = "SET v = :v, #state = :finished, generations = :generations, updated = :updated, worker = :worker, expires = :expires";
        let call = self
            .update(shard, SET)
            .expression_attribute_values(":finished", AttributeValue::S("finished".to_owned()))
            .expression_attribute_values(":expires", of_number(now() + KEEP_FINISHED_SECONDS))
            .send();
        let answer = Box::pin(call).await.map_err(|error| AwsError::from_sdk("UpdateItem", &error));
        answer.map(drop).map_err(|error| self.failed("UpdateItem", error))
    }

    async fn gap(&self, gap: &Gap) -> Result<(), StateError> {
        let kind = gap.kind.name().to_owned();
        let key = SortKey::Gap { label: self.label.clone(), kind, subject: gap.subject.clone() };
        let mut item = Item::from([
            ("at".to_owned(), of_number(now())),
            ("worker".to_owned(), AttributeValue::S(self.worker.clone())),
        ]);
        for (name, value) in [("position", &gap.position), ("detail", &gap.detail)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), AttributeValue::S(value.clone()));
            }
        }
        self.put_new(&key, item).await.map(drop)
    }

    async fn index(&self, index: &KnownIndex) -> Result<(), StateError> {
        let key = SortKey::Index { concrete: index.concrete.clone() };
        let mut item = write_index(index);
        item.insert("at".to_owned(), of_number(now()));
        self.put_new(&key, item).await.map(drop)
    }
}

fn settled<T>(answer: Result<T, AwsError>) -> Result<Checkpointed, AwsError> {
    match answer {
        Ok(_) => Ok(Checkpointed::Stored),
        Err(error) if error.fault() == Fault::Condition => Ok(Checkpointed::Overtaken),
        Err(error) => Err(error),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
