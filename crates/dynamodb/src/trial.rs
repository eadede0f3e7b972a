//! Tests whether the calls of streamdex are allowed. Each is made once, in a form that changes nothing.
//!
//! A write carries a condition that never holds, so that it is judged and refused: DynamoDB asks IAM before it looks at the
//! condition. Such a write takes one write unit.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use streamdex_config::StreamArn;
use streamdex_mapping::Key;

use crate::call::Call;
use crate::clients::SourceClients;
use crate::fault::{AwsError, Fault};
use crate::item::{BatchGetReader, ItemReader};
use crate::state::StateTable;
use crate::stream::{Position, SdkStream, StreamSource};

/// One call that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The action, as IAM writes it.
    pub action: &'static str,
    /// The result; `None` if the call could not be tried because an earlier one failed.
    pub result: Option<Result<(), AwsError>>,
}

/// Sort key of an item that does not exist; other versions take it for none of theirs.
const NO_ITEM: &str = "check";
const NEVER: &str = "attribute_exists(pk) AND attribute_not_exists(pk)";

impl Tried {
    fn new(action: &'static str, result: Result<(), AwsError>) -> Tried {
        Tried { action, result: Some(result) }
    }
}

/// Tries the calls that read a stream. It reads the oldest record of one shard and discards it.
pub async fn stream(clients: &SourceClients, arn: &StreamArn) -> Vec<Tried> {
    const ACTIONS: [&str; 3] = ["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"];
    let stream = SdkStream::new(clients.clone(), arn.clone(), None);
    let [describes, iterates, reads] = ACTIONS;
    let skipped = |action| Tried { action, result: None };
    let page = match stream.shards(None).await {
        Ok(page) => page,
        Err(error) => return vec![Tried::new(describes, Err(error)), skipped(iterates), skipped(reads)],
    };
    let mut tried = vec![Tried::new(describes, Ok(()))];
    let Some(shard) = page.shards.last() else {
        tried.extend([skipped(iterates), skipped(reads)]);
        return tried;
    };
    match stream.iterator(&shard.id, &Position::TrimHorizon).await {
        Ok(iterator) => {
            let read = stream.records(&iterator, Some(1)).await.map(drop);
            // What the stream has lost since is no matter of permission.
            let is_lost = |error: &AwsError| matches!(error.fault(), Fault::Trimmed | Fault::ExpiredIterator);
            let read = read.or_else(|error| if is_lost(&error) { Ok(()) } else { Err(error) });
            tried.extend([Tried::new(iterates, Ok(())), Tried::new(reads, read)]);
        }
        Err(error) => tried.extend([Tried::new(iterates, Err(error)), skipped(reads)]),
    }
    tried
}

/// Reading an item by its key.
pub async fn read_item(clients: &SourceClients, table: &str, key: Key) -> Tried {
    let read = BatchGetReader::new(clients.dynamodb.clone(), table).read(&[key]).await;
    Tried::new("dynamodb:BatchGetItem", read.map(drop))
}

/// The calls that keep progress and letters in the state table, which was described, in the partition `pk` of a group.
pub async fn state(table: &StateTable, pk: &str) -> Vec<Tried> {
    let mut tried = vec![Tried::new("dynamodb:DescribeTable", Ok(()))];
    let key =
        || [("pk", pk), ("sk", NO_ITEM)].map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let (client, name) = (table.client(), table.name());

    let of_call = Call::of("GetItem");
    let call = client.get_item().table_name(name).set_key(Some(key().into()));
    let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
    tried.push(Tried::new("dynamodb:GetItem", sent.map(drop).map_err(|error| of_call.failed(&error))));

    let of_call = Call::of("Query");
    let call = client.query().table_name(name).key_condition_expression("pk = :pk").limit(1);
    let call = call.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
    let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
    tried.push(Tried::new("dynamodb:Query", sent.map(drop).map_err(|error| of_call.failed(&error))));

    let of_call = Call::of("PutItem");
    let call = client.put_item().table_name(name).set_item(Some(key().into())).condition_expression(NEVER);
    let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
    tried.push(Tried::new("dynamodb:PutItem", judged(&of_call, sent)));

    let of_call = Call::of("UpdateItem");
    let call = client.update_item().table_name(name).set_key(Some(key().into())).condition_expression(NEVER);
    let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
    tried.push(Tried::new("dynamodb:UpdateItem", judged(&of_call, sent)));

    let of_call = Call::of("DeleteItem");
    let call = client.delete_item().table_name(name).set_key(Some(key().into())).condition_expression(NEVER);
    let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
    tried.push(Tried::new("dynamodb:DeleteItem", judged(&of_call, sent)));

    let of_call = Call::of("TransactWriteItems");
    let check = ConditionCheck::builder().table_name(name).set_key(Some(key().into())).condition_expression(NEVER);
    let sent = async {
        let check = check.build().map_err(|_| of_call.fault(Fault::Invalid))?;
        let call =
            client.transact_write_items().transact_items(TransactWriteItem::builder().condition_check(check).build());
        judged(&of_call, Box::pin(call.customize().interceptor(of_call.clone()).send()).await)
    };
    tried.push(Tried::new("dynamodb:ConditionCheckItem", sent.await));
    tried
}

/// A write whose condition was looked at was allowed.
fn judged<T, E>(of_call: &Call, sent: Result<T, SdkError<E, HttpResponse>>) -> Result<(), AwsError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Err(error) = sent else { return Ok(()) };
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some("ConditionalCheckFailedException" | "TransactionCanceledException") => Ok(()),
        _ => Err(of_call.failed(&error)),
    }
}
