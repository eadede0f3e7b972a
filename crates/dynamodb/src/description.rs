//! What a table says of itself.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::TableDescription;

use crate::call::Call;
use crate::fault::AwsError;

/// The description of a table. It is whole: a table that is there has a status, so an answer without one says nothing
/// of keys, streams, or of there being no table.
///
/// # Errors
/// The call failed, or its answer lacks the table.
pub(crate) async fn describe_table(client: &Client, name: &str) -> Result<TableDescription, AwsError> {
    let of_call = Call::of("DescribeTable");
    let call = client.describe_table().table_name(name).customize().interceptor(of_call.clone());
    let answer = Box::pin(call.send()).await.map_err(|error| of_call.failed(&error))?;
    let table = answer.table.ok_or_else(|| of_call.lacks("Table"))?;
    if table.table_status.is_none() {
        return Err(of_call.lacks("Table.TableStatus"));
    }
    Ok(table)
}
