//! Reading a partition of the state table, and adding to it.

use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};

use super::StateTable;
use super::admin::Creation;
use super::error::StateError;
use super::item::{Item, text};
use super::keys::{SortKey, group_of};
use crate::call::Call;
use crate::fault::Fault;

/// Which items of a partition are read, by their sort keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent<'a> {
    /// All of them.
    All,
    /// Those behind this key.
    After(&'a str),
    /// Those whose key begins so.
    Prefix(&'a str),
}

impl StateTable {
    /// The items of a partition, strongly consistent, page by page until there is none left.
    ///
    /// # Errors
    /// A call failed.
    pub async fn query(&self, partition: &str, extent: Extent<'_>) -> Result<Vec<Item>, StateError> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let call = self.client().query().table_name(self.name()).consistent_read(true);
            let (condition, bound) = match extent {
                Extent::All => ("pk = :pk", None),
                Extent::After(key) => ("pk = :pk AND sk > :bound", Some(key)),
                Extent::Prefix(key) => ("pk = :pk AND begins_with(sk, :bound)", Some(key)),
            };
            let mut call = call
                .key_condition_expression(condition)
                .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()));
            if let Some(bound) = bound {
                call = call.expression_attribute_values(":bound", AttributeValue::S(bound.to_owned()));
            }
            let of_call = Call::of("Query");
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let call = call.set_exclusive_start_key(after.clone()).customize().interceptor(of_call.clone());
            let page = Box::pin(call.send()).await.map_err(|error| self.failed(of_call.failed(&error)))?;
            items.extend(page.items.ok_or_else(|| self.failed(of_call.lacks("Items")))?);
            of_call.proven(page.consumed_capacity.as_ref()).map_err(|error| self.failed(error))?;
            let next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_some() && next == after {
                let repeated = of_call.fault(Fault::Transient);
                return Err(self.failed(repeated.with_detail("the answer repeats `LastEvaluatedKey`")));
            }
            after = next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// The groups that have, or had, a lease of this table: the whole state table is read.
    ///
    /// # Errors
    /// A call failed.
    pub async fn groups(&self, table: &str) -> Result<Vec<String>, StateError> {
        let mut groups = Vec::new();
        let mut after = None;
        loop {
            let of_call = Call::of("Scan");
            let call = self.client().scan().table_name(self.name()).consistent_read(true);
            let call = call.filter_expression("sk = :lease").projection_expression("pk");
            let call = call.expression_attribute_values(":lease", AttributeValue::S(SortKey::Lease.text()));
            let call =
                call.return_consumed_capacity(ReturnConsumedCapacity::Total).set_exclusive_start_key(after.clone());
            let call = call.customize().interceptor(of_call.clone());
            let page = Box::pin(call.send()).await.map_err(|error| self.failed(of_call.failed(&error)))?;
            let items = page.items.ok_or_else(|| self.failed(of_call.lacks("Items")))?;
            of_call.proven(page.consumed_capacity.as_ref()).map_err(|error| self.failed(error))?;
            groups.extend(items.iter().filter_map(|item| group_of(text(item, "pk")?, table)));
            let next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(groups);
            }
            if next == after {
                let repeated = of_call.fault(Fault::Transient);
                return Err(self.failed(repeated.with_detail("the answer repeats `LastEvaluatedKey`")));
            }
            after = next;
        }
    }

    /// The item with this key, strongly consistent; `None` where DynamoDB itself says that there is none.
    ///
    /// # Errors
    /// The call failed.
    pub async fn get(&self, key: Item) -> Result<Option<Item>, StateError> {
        let of_call = Call::of("GetItem");
        let call = self.client().get_item().table_name(self.name()).consistent_read(true).set_key(Some(key));
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let call = call.customize().interceptor(of_call.clone());
        let answer = Box::pin(call.send()).await.map_err(|error| self.failed(of_call.failed(&error)))?;
        if answer.item.is_none() {
            of_call.proven(answer.consumed_capacity.as_ref()).map_err(|error| self.failed(error))?;
        }
        Ok(answer.item)
    }

    /// Puts an item, in place of one that has its key.
    ///
    /// # Errors
    /// The call failed.
    pub async fn put(&self, item: Item) -> Result<(), StateError> {
        let of_call = Call::of("PutItem");
        let call = self.client().put_item().table_name(self.name()).set_item(Some(item));
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let call = call.customize().interceptor(of_call.clone());
        let answer = Box::pin(call.send()).await.map_err(|error| self.failed(of_call.failed(&error)))?;
        of_call.proven(answer.consumed_capacity.as_ref()).map_err(|error| self.failed(error))
    }

    /// Puts an item if none has its key; an existing item is not changed.
    ///
    /// # Errors
    /// The call failed.
    pub async fn put_new(&self, item: Item) -> Result<Creation, StateError> {
        let of_call = Call::of("PutItem");
        let call = self.client().put_item().table_name(self.name()).set_item(Some(item));
        let call = call.condition_expression("attribute_not_exists(pk)");
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let call = call.customize().interceptor(of_call.clone());
        let answer = Box::pin(call.send()).await.map_err(|error| of_call.failed(&error));
        let proven = |answer: PutItemOutput| of_call.proven(answer.consumed_capacity.as_ref());
        match answer.and_then(proven) {
            Ok(()) => Ok(Creation::Created),
            Err(error) if error.fault() == Fault::Condition => Ok(Creation::Existed),
            Err(error) => Err(self.failed(error)),
        }
    }
}
