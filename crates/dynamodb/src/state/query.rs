//! Reading a partition of the state table, and adding to it.

use aws_sdk_dynamodb::types::AttributeValue;

use super::StateTable;
use super::admin::Creation;
use super::error::StateError;
use super::item::Item;
use crate::fault::{AwsError, Fault};

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
            let answer = Box::pin(call.set_exclusive_start_key(after).send()).await;
            let page = answer.map_err(|error| self.failed(AwsError::from_sdk("Query", &error)))?;
            items.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key.filter(|key| !key.is_empty());
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// Puts an item where there is none with its key; an item that is there stays as it is.
    ///
    /// # Errors
    /// The call failed.
    pub async fn put_new(&self, item: Item) -> Result<Creation, StateError> {
        let call = self.client().put_item().table_name(self.name()).set_item(Some(item));
        let call = call.condition_expression("attribute_not_exists(pk)").send();
        match Box::pin(call).await.map_err(|error| AwsError::from_sdk("PutItem", &error)) {
            Ok(_) => Ok(Creation::Created),
            Err(error) if error.fault() == Fault::Condition => Ok(Creation::Existed),
            Err(error) => Err(self.failed(error)),
        }
    }
}
