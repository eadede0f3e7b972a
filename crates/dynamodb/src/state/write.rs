//! How conditional writes to the items of one partition are sent.

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};

use super::expression::Expression;
use super::item::{Item, stored};
use super::operation::{Action, Answer, Operation, Refusal};
use super::{Extent, StateError, StateTable};
use crate::call::Call;
use crate::fault::{AwsError, Fault};

/// An answer, and when the service gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// What came of it.
    pub answer: Answer,
    /// The `Date` of the answer, in seconds since 1970; `None` where the service sends none.
    pub date: Option<u64>,
}

/// The items of one partition.
#[derive(Debug, Clone)]
pub struct StatePartition {
    table: StateTable,
    key: String,
}

/// The largest number of operations in a transaction.
pub const MOST_OPERATIONS: usize = 100;
const TRANSACTION: &str = "TransactWriteItems";

// === impl StatePartition ===

impl StatePartition {
    /// The items of `table` with this partition key.
    pub fn new(table: StateTable, key: String) -> StatePartition {
        StatePartition { table, key }
    }

    /// The items, strongly consistent.
    ///
    /// # Errors
    /// A call failed.
    pub async fn query(&self, extent: Extent<'_>) -> Result<Vec<Item>, StateError> {
        self.table.query(&self.key, extent).await
    }

    /// One item, strongly consistent.
    ///
    /// # Errors
    /// The call failed.
    pub async fn get(&self, sort_key: &str) -> Result<Option<Item>, StateError> {
        self.table.get(self.key_of(sort_key)).await
    }

    /// Writes: one operation alone, several in one transaction. A refusal carries the items that refused it.
    ///
    /// # Errors
    /// A call failed. Whether the write was carried out is not known then; it may be repeated.
    pub async fn write(&self, operations: &[Operation]) -> Result<Written, StateError> {
        let written = match operations {
            [operation] if operation.action != Action::Check => self.write_one(operation).await,
            _ => self.write_all(operations).await,
        };
        let mut written = written.map_err(|error| self.table.failed(error))?;
        if let Answer::Refused(refused) = &mut written.answer {
            // Not every server that is asked for the item returns it, and there may be none.
            for refusal in refused.iter_mut().filter(|refusal| refusal.found.is_none()) {
                if let Some(operation) = operations.get(refusal.operation) {
                    refusal.found = self.get(&operation.sort_key).await?;
                }
            }
        }
        Ok(written)
    }

    async fn write_one(&self, operation: &Operation) -> Result<Written, AwsError> {
        let expression = Expression::of(operation);
        let client = self.table.client();
        let (of_call, answer) = match &operation.action {
            Action::Put(item) => {
                let of_call = Call::of("PutItem");
                let item = stored(&self.key, operation.sort_key.clone(), item.clone());
                let call = client.put_item().table_name(self.table.name()).set_item(Some(item));
                let call = call
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values)
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
                let answer = answer.map(|answer| answer.consumed_capacity);
                (of_call.clone(), answer.map_err(|error| refusal_or(&of_call, error)))
            }
            Action::Update { .. } | Action::Check => {
                let of_call = Call::of("UpdateItem");
                let call = client.update_item().table_name(self.table.name());
                let call = call.set_key(Some(self.key_of(&operation.sort_key)));
                let call = call
                    .set_update_expression(expression.update)
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values)
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
                let answer = answer.map(|answer| answer.consumed_capacity);
                (of_call.clone(), answer.map_err(|error| refusal_or(&of_call, error)))
            }
            Action::Delete => {
                let of_call = Call::of("DeleteItem");
                let call = client.delete_item().table_name(self.table.name());
                let call = call.set_key(Some(self.key_of(&operation.sort_key)));
                let call = call
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values)
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                    .return_consumed_capacity(ReturnConsumedCapacity::Total);
                let answer = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
                let answer = answer.map(|answer| answer.consumed_capacity);
                (of_call.clone(), answer.map_err(|error| refusal_or(&of_call, error)))
            }
        };
        let answer = match answer {
            Ok(capacity) => of_call.proven(capacity.as_ref()).map(|()| Answer::Stored)?,
            Err(NotStored::Refused(found)) => Answer::Refused(vec![Refusal { operation: 0, found }]),
            Err(NotStored::Failed(error)) => return Err(error),
        };
        Ok(Written { answer, date: of_call.date() })
    }

    async fn write_all(&self, operations: &[Operation]) -> Result<Written, AwsError> {
        let of_call = Call::of(TRANSACTION);
        let items: Result<Vec<_>, BuildError> = operations.iter().map(|operation| self.item_of(operation)).collect();
        let items = items.map_err(|_| of_call.fault(Fault::Invalid))?;
        let call = self.table.client().transact_write_items().set_transact_items(Some(items));
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = match Box::pin(call.customize().interceptor(of_call.clone()).send()).await {
            Ok(answer) => of_call.proven(answer.consumed_capacity().first()).map(|()| Answer::Stored)?,
            Err(error) => match error.as_service_error().and_then(refusals) {
                Some(refused) => Answer::Refused(refused),
                None => return Err(of_call.failed(&error)),
            },
        };
        Ok(Written { answer, date: of_call.date() })
    }

    fn item_of(&self, operation: &Operation) -> Result<TransactWriteItem, BuildError> {
        let Expression { condition, update, names, values } = Expression::of(operation);
        let (table, key) = (self.table.name(), self.key_of(&operation.sort_key));
        let failed = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        Ok(match &operation.action {
            Action::Check => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                let check = check.set_condition_expression(condition).set_expression_attribute_names(names);
                let check = check.set_expression_attribute_values(values);
                item.condition_check(check.return_values_on_condition_check_failure(failed).build()?)
            }
            Action::Put(attributes) => {
                let attributes = stored(&self.key, operation.sort_key.clone(), attributes.clone());
                let put = Put::builder().table_name(table).set_item(Some(attributes));
                let put = put.set_condition_expression(condition).set_expression_attribute_names(names);
                let put = put.set_expression_attribute_values(values);
                item.put(put.return_values_on_condition_check_failure(failed).build()?)
            }
            Action::Update { .. } => {
                let change = Update::builder().table_name(table).set_key(Some(key)).set_update_expression(update);
                let change = change.set_condition_expression(condition).set_expression_attribute_names(names);
                let change = change.set_expression_attribute_values(values);
                item.update(change.return_values_on_condition_check_failure(failed).build()?)
            }
            Action::Delete => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                let delete = delete.set_condition_expression(condition).set_expression_attribute_names(names);
                let delete = delete.set_expression_attribute_values(values);
                item.delete(delete.return_values_on_condition_check_failure(failed).build()?)
            }
        }
        .build())
    }

    fn key_of(&self, sort_key: &str) -> Item {
        Item::from([
            ("pk".to_owned(), AttributeValue::S(self.key.clone())),
            ("sk".to_owned(), AttributeValue::S(sort_key.to_owned())),
        ])
    }
}

/// Why a write alone is not stored.
enum NotStored {
    Refused(Option<Item>),
    Failed(AwsError),
}

type Response = aws_smithy_runtime_api::client::orchestrator::HttpResponse;

fn refusal_or<E>(of_call: &Call, error: SdkError<E, Response>) -> NotStored
where
    E: MayRefuse + aws_smithy_types::error::metadata::ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.as_service_error().and_then(MayRefuse::refused) {
        Some(refused) => NotStored::Refused(refused.item().cloned()),
        None => match of_call.failed(&error) {
            failed if failed.fault() == Fault::Condition => NotStored::Refused(None),
            failed => NotStored::Failed(failed),
        },
    }
}

/// Errors of calls that can have a condition.
trait MayRefuse {
    fn refused(&self) -> Option<&ConditionalCheckFailedException>;
}

impl MayRefuse for PutItemError {
    fn refused(&self) -> Option<&ConditionalCheckFailedException> {
        match self {
            PutItemError::ConditionalCheckFailedException(refused) => Some(refused),
            _ => None,
        }
    }
}

impl MayRefuse for UpdateItemError {
    fn refused(&self) -> Option<&ConditionalCheckFailedException> {
        match self {
            UpdateItemError::ConditionalCheckFailedException(refused) => Some(refused),
            _ => None,
        }
    }
}

impl MayRefuse for DeleteItemError {
    fn refused(&self) -> Option<&ConditionalCheckFailedException> {
        match self {
            DeleteItemError::ConditionalCheckFailedException(refused) => Some(refused),
            _ => None,
        }
    }
}

/// The conditions that do not hold. A transaction is cancelled by conflicts and throttling too; those pass.
fn refusals(error: &TransactWriteItemsError) -> Option<Vec<Refusal>> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return None };
    let refused: Vec<Refusal> = cancelled
        .cancellation_reasons()
        .iter()
        .enumerate()
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(operation, reason)| Refusal { operation, found: reason.item().cloned().filter(|item| !item.is_empty()) })
        .collect();
    (!refused.is_empty()).then_some(refused)
}
