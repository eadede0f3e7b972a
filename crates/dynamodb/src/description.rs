//! The description of a table.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::TableDescription;
use streamdex_config::StreamArn;
use streamdex_mapping::StreamView;

use crate::call::Call;
use crate::fault::AwsError;

/// The description of a table. The description is complete: every table has a status, so an answer without one proves
/// nothing about keys, streams, or the absence of the table.
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

/// The stream of a table, where it is switched on.
pub(crate) fn stream_of(table: &TableDescription) -> Option<(StreamArn, StreamView)> {
    let enabled = table.stream_specification().filter(|specification| specification.stream_enabled)?;
    let view = enabled.stream_view_type().and_then(|view| StreamView::parse(view.as_str()))?;
    Some((table.latest_stream_arn().and_then(StreamArn::parse)?, view))
}

/// The other regions of a global table.
pub(crate) fn replicas_of(table: &TableDescription) -> Vec<String> {
    table.replicas().iter().filter_map(|replica| replica.region_name.clone()).collect()
}
