//! A group's progress on one stream, in the state table.

use async_trait::async_trait;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnConsumedCapacity, ReturnValue, TransactWriteItem,
};
use streamdex_config::StreamArn;
use streamdex_delivery::indices::KnownIndices;
use streamdex_dynamodb::state::{
    BEHIND_DONE, Creation, Extent, FORMAT, Item, Partition, SortKey, StateError, StateTable, of_number, stored,
};
use streamdex_dynamodb::stream::ShardId;
use streamdex_dynamodb::time::now;
use streamdex_dynamodb::{AwsError, Call, Fault};
use streamdex_mapping::SequenceNumber;
use streamdex_sink::index::KnownIndex;

use crate::gap::Gap;
use crate::graph::KeepDone;
use crate::lease::{Holder, Lease, WorkerId, Written};
use crate::state::rows::{read_all, read_shard, sortable, write_beat, write_generations, write_start};
use crate::state::{Beat, Generations, Loaded, ProgressStore, StoredShard, StreamStart};

const TRANSACTION: &str = "TransactWriteItems";
/// A shard is ours while it names us and the fence that we claimed it with.
const IS_OURS: &str = "#owner = :me AND #fence = :fence";

/// The items of one group about one stream of one table.
#[derive(Debug, Clone)]
pub struct StreamState {
    table: StateTable,
    partition: String,
    label: String,
    generations: Generations,
    worker: WorkerId,
    indices: KnownIndices,
}

// === impl StreamState ===

impl StreamState {
    /// The items of `table`'s group about the stream `label` of `stream`. Checkpoints will
    /// say that they were made with `generations`, by `worker`.
    pub fn new(table: StateTable, stream: &StreamArn, generations: Generations, worker: WorkerId) -> StreamState {
        let partition = Partition::Follow { group: table.group(), table: stream.table().as_str() }.key();
        let indices = KnownIndices::new(table.clone(), &stream.table());
        StreamState { partition, table, label: stream.label().to_owned(), generations, worker, indices }
    }

    /// Forgets everything that the group knows about the table: it will start as a new group. Dead letters stay.
    ///
    /// # Errors
    /// A call failed; what was deleted before stays deleted.
    pub async fn clear(&self) -> Result<(), StateError> {
        for item in self.table.query(&self.partition, Extent::All).await? {
            let Some(AttributeValue::S(sort_key)) = item.get("sk") else { continue };
            self.delete(sort_key).await?;
        }
        Ok(())
    }

    /// The label of the last stream that the group has followed, where that is another one than this and was
    /// not read to its end: its gap is recorded when it was.
    ///
    /// # Errors
    /// A call failed.
    pub async fn unfinished_stream(&self) -> Result<Option<String>, StateError> {
        Ok(self.load().await?.unfinished_stream().map(str::to_owned))
    }

    async fn delete(&self, sort_key: &str) -> Result<(), StateError> {
        let of_call = Call::of("DeleteItem");
        let call = self.table.client().delete_item().table_name(self.table.name());
        let call = call.key("pk", self.pk()).key("sk", AttributeValue::S(sort_key.to_owned()));
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
        let answer = answer.map_err(|error| of_call.failed(&error));
        let proven = answer.and_then(|answer| of_call.proven(answer.consumed_capacity.as_ref()));
        proven.map_err(|error| self.failed("DeleteItem", error))
    }

    fn pk(&self) -> AttributeValue {
        AttributeValue::S(self.partition.clone())
    }

    fn shard_key(&self, shard: &ShardId) -> String {
        SortKey::Shard { label: self.label.clone(), shard: shard.as_str().to_owned() }.text()
    }

    fn item(&self, sort_key: String, attributes: Item) -> Item {
        stored(&self.partition, sort_key, attributes)
    }

    /// A put that does nothing where the item is there already.
    async fn put_new(&self, key: &SortKey, attributes: Item) -> Result<Written, StateError> {
        match self.table.put_new(self.item(key.text(), attributes)).await? {
            Creation::Created => Ok(Written::Stored),
            Creation::Existed => Ok(Written::Lost),
        }
    }

    /// A new shard's attributes.
    fn open(&self, parent: Option<&ShardId>) -> Item {
        let mut item = Item::from([
            ("state".to_owned(), AttributeValue::S("open".to_owned())),
            ("generations".to_owned(), write_generations(&self.generations)),
            ("updated".to_owned(), of_number(now())),
            ("worker".to_owned(), self.me()),
        ]);
        if let Some(parent) = parent {
            item.insert("parent".to_owned(), AttributeValue::S(parent.as_str().to_owned()));
        }
        item
    }

    fn me(&self) -> AttributeValue {
        AttributeValue::S(self.worker.as_str().to_owned())
    }

    /// An update of a shard's own fields: what later versions add to the item survives.
    fn update(&self, shard: &ShardId, set: &str) -> UpdateItemFluentBuilder {
        self.untimed_update(shard, &format!(", updated = :updated{set}"))
            .expression_attribute_values(":updated", of_number(now()))
    }

    fn untimed_update(&self, shard: &ShardId, set: &str) -> UpdateItemFluentBuilder {
        self.table
            .client()
            .update_item()
            .table_name(self.table.name())
            .key("pk", self.pk())
            .key("sk", AttributeValue::S(self.shard_key(shard)))
            .update_expression(format!("SET v = :v, worker = :me{set}"))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#fence", "fence")
            .expression_attribute_values(":v", of_number(FORMAT))
            .expression_attribute_values(":me", self.me())
    }

    async fn send(&self, call: UpdateItemFluentBuilder) -> Result<Written, StateError> {
        settled(self.answer_to(call).await).map_err(|error| self.failed("UpdateItem", error))
    }

    /// The answer to an update, which is DynamoDB's.
    async fn answer_to(&self, call: UpdateItemFluentBuilder) -> Result<UpdateItemOutput, AwsError> {
        let of_call = Call::of("UpdateItem");
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
        let answer = answer.map_err(|error| of_call.failed(&error))?;
        of_call.proven(answer.consumed_capacity.as_ref()).map(|()| answer)
    }

    fn failed(&self, operation: &'static str, error: AwsError) -> StateError {
        tracing::debug!(operation, error = %error, "state table call failed");
        self.table.failed(error)
    }
}

#[async_trait]
impl ProgressStore for StreamState {
    fn worker(&self) -> &WorkerId {
        &self.worker
    }

    async fn load(&self) -> Result<Loaded, StateError> {
        read_all(&self.table.query(&self.partition, Extent::All).await?, &self.label)
    }

    async fn refresh(&self) -> Result<Loaded, StateError> {
        read_all(&self.table.query(&self.partition, Extent::After(BEHIND_DONE)).await?, &self.label)
    }

    async fn beat(&self, beat: &Beat) -> Result<(), StateError> {
        let key = SortKey::Worker { worker: self.worker.as_str().to_owned() };
        let item = self.item(key.text(), write_beat(beat));
        self.table.put(item).await
    }

    async fn leave(&self) -> Result<(), StateError> {
        self.delete(&SortKey::Worker { worker: self.worker.as_str().to_owned() }.text()).await
    }

    async fn pin(&self, start: &StreamStart) -> Result<StreamStart, StateError> {
        let key = SortKey::Stream { label: self.label.clone() };
        match self.put_new(&key, write_start(start)).await? {
            Written::Stored => Ok(start.clone()),
            Written::Lost => Ok(self.load().await?.start.unwrap_or_else(|| start.clone())),
        }
    }

    async fn offer(&self, shard: &ShardId, parent: Option<&ShardId>) -> Result<(), StateError> {
        let not_done = self.not_done(shard);
        let put = self.put_of(shard, self.open(parent));
        let (Ok(not_done), Ok(put)) = (not_done, put) else { return Err(self.malformed_transaction()) };
        let not_done = TransactWriteItem::builder().condition_check(not_done).build();
        self.transact(vec![not_done, TransactWriteItem::builder().put(put).build()]).await.map(drop)
    }

    async fn claim(&self, shard: &ShardId, holder: &Holder) -> Result<Option<StoredShard>, StateError> {
        // The item stays as old as it is: whether records may have been trimmed since is judged by that.
        let call = self
            .untimed_update(shard, ", #owner = :me, #fence = :next")
            .expression_attribute_values(":next", of_number(holder.fence.saturating_add(1)))
            .return_values(ReturnValue::AllNew);
        let unfenced = "attribute_exists(pk) AND attribute_not_exists(#fence)";
        let free = if holder.fence == 0 { unfenced } else { "#fence = :fence" };
        let call = match holder.fence {
            0 => call,
            fence => call.expression_attribute_values(":fence", of_number(fence)),
        };
        let call = match &holder.owner {
            None => call.condition_expression(format!("{free} AND attribute_not_exists(#owner)")),
            Some(owner) => call
                .condition_expression(format!("{free} AND #owner = :owner"))
                .expression_attribute_values(":owner", AttributeValue::S(owner.as_str().to_owned())),
        };
        match self.answer_to(call).await {
            Ok(answer) => Ok(answer.attributes.and_then(|item| read_shard(&item, shard.as_str()))),
            Err(error) if error.fault() == Fault::Condition => Ok(None),
            Err(error) => Err(self.failed("UpdateItem", error)),
        }
    }

    async fn checkpoint(&self, lease: &Lease, position: &SequenceNumber) -> Result<Written, StateError> {
        self.send(self.at_position(lease, position, "")).await
    }

    async fn release(&self, lease: &Lease, position: Option<&SequenceNumber>) -> Result<Written, StateError> {
        const GIVE_UP: &str = " REMOVE #owner";
        let call = match position {
            Some(position) => self.at_position(lease, position, GIVE_UP),
            None => {
                // As with a claim: without a position, the item's age tells what may be trimmed.
                let call = self.untimed_update(&lease.shard, GIVE_UP).condition_expression(IS_OURS);
                call.expression_attribute_values(":fence", of_number(lease.fence))
            }
        };
        self.send(call).await
    }

    async fn finish(&self, lease: &Lease) -> Result<Written, StateError> {
        let call = self
            .update(&lease.shard, ", #state = :finished")
            .condition_expression(IS_OURS)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":fence", of_number(lease.fence))
            .expression_attribute_values(":finished", AttributeValue::S("finished".to_owned()));
        self.send(call).await
    }

    async fn succeed(&self, lease: &Lease, children: &[ShardId], keep: &KeepDone) -> Result<Written, StateError> {
        let items = self.succession(lease, children, keep).map_err(|_| self.malformed_transaction())?;
        self.transact(items).await
    }

    async fn gap(&self, gap: &Gap) -> Result<(), StateError> {
        let kind = gap.kind.name().to_owned();
        let key = SortKey::Gap { label: self.label.clone(), kind, subject: gap.subject.clone() };
        let mut item = Item::from([("at".to_owned(), of_number(now())), ("worker".to_owned(), self.me())]);
        for (name, value) in [("position", &gap.position), ("detail", &gap.detail)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), AttributeValue::S(value.clone()));
            }
        }
        self.put_new(&key, item).await.map(drop)
    }

    async fn index(&self, index: &KnownIndex) -> Result<(), StateError> {
        self.indices.note(index).await
    }
}

impl StreamState {
    /// A checkpoint. The condition on `order` keeps a worker's own delayed write from going backwards.
    fn at_position(&self, lease: &Lease, position: &SequenceNumber, more: &str) -> UpdateItemFluentBuilder {
        let set = format!(", #position = :position, #order = :order, generations = :generations{more}");
        self.update(&lease.shard, &set)
            .condition_expression(format!("{IS_OURS} AND (attribute_not_exists(#order) OR #order <= :order)"))
            .expression_attribute_names("#position", "position")
            .expression_attribute_names("#order", "order")
            .expression_attribute_values(":fence", of_number(lease.fence))
            .expression_attribute_values(":position", AttributeValue::S(position.as_str().to_owned()))
            .expression_attribute_values(":order", AttributeValue::S(sortable(position)))
            .expression_attribute_values(":generations", write_generations(&self.generations))
    }

    /// The lease goes, the shard is noted as done, and the children are ours.
    fn succession(
        &self,
        lease: &Lease,
        children: &[ShardId],
        keep: &KeepDone,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let lease_goes = Delete::builder()
            .table_name(self.table.name())
            .key("pk", self.pk())
            .key("sk", AttributeValue::S(self.shard_key(&lease.shard)))
            .condition_expression(IS_OURS)
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#fence", "fence")
            .expression_attribute_values(":me", self.me())
            .expression_attribute_values(":fence", of_number(lease.fence))
            .build()?;
        let key = SortKey::Done { label: self.label.clone(), shard: lease.shard.as_str().to_owned() };
        let mut done = Item::from([("updated".to_owned(), of_number(now())), ("worker".to_owned(), self.me())]);
        if let Some(parent) = keep.parent() {
            done.insert("parent".to_owned(), AttributeValue::S(parent.as_str().to_owned()));
        }
        if let Some(period) = keep.period() {
            done.insert("expires".to_owned(), of_number(now() + period.as_secs()));
        }
        let done = Put::builder().table_name(self.table.name()).set_item(Some(self.item(key.text(), done))).build()?;
        let mut items = vec![
            TransactWriteItem::builder().delete(lease_goes).build(),
            TransactWriteItem::builder().put(done).build(),
        ];
        for child in children {
            let mut item = self.open(Some(&lease.shard));
            item.insert("owner".to_owned(), self.me());
            item.insert("fence".to_owned(), of_number(1));
            items.push(TransactWriteItem::builder().put(self.put_of(child, item)?).build());
        }
        Ok(items)
    }

    /// A put of a shard that has no item yet.
    fn put_of(&self, shard: &ShardId, item: Item) -> Result<Put, BuildError> {
        Put::builder()
            .table_name(self.table.name())
            .set_item(Some(self.item(self.shard_key(shard), item)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
    }

    /// A listing may be older than the shard's end: a shard that is done must not be read again.
    fn not_done(&self, shard: &ShardId) -> Result<ConditionCheck, BuildError> {
        let key = SortKey::Done { label: self.label.clone(), shard: shard.as_str().to_owned() };
        ConditionCheck::builder()
            .table_name(self.table.name())
            .key("pk", self.pk())
            .key("sk", AttributeValue::S(key.text()))
            .condition_expression("attribute_not_exists(pk)")
            .build()
    }

    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<Written, StateError> {
        let of_call = Call::of(TRANSACTION);
        let call = self.table.client().transact_write_items().set_transact_items(Some(items));
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match Box::pin(call.customize().interceptor(of_call.clone()).send()).await {
            Ok(answer) => {
                let proven = of_call.proven(answer.consumed_capacity().first());
                proven.map(|()| Written::Stored).map_err(|error| self.failed(TRANSACTION, error))
            }
            Err(error) if error.as_service_error().is_some_and(a_condition_failed) => Ok(Written::Lost),
            Err(error) => Err(self.failed(TRANSACTION, of_call.failed(&error))),
        }
    }

    fn malformed_transaction(&self) -> StateError {
        self.failed(TRANSACTION, AwsError::new(Fault::Invalid, TRANSACTION))
    }
}

/// A transaction is cancelled by conflicts and throttling too; those pass.
fn a_condition_failed(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

fn settled<T>(answer: Result<T, AwsError>) -> Result<Written, AwsError> {
    match answer {
        Ok(_) => Ok(Written::Stored),
        Err(error) if error.fault() == Fault::Condition => Ok(Written::Lost),
        Err(error) => Err(error),
    }
}
