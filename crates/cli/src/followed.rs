//! The followed stream of a table, and the place where its group keeps its progress.

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Source, TableReference};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::{Partition, StateError, StatePartition, StateTable};
use streamdex_dynamodb::table::{StreamInfo, TableError, TableInfo};
use streamdex_poller::clock::{ServiceTime, SystemClock};
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::{Generations, Progress};

use crate::connect;
use crate::exit::CliError;

/// The table of a source, and the stream of it that is followed now. Makes sure that the state table is there.
pub(crate) async fn followed(
    source: &Source,
    clients: &SourceClients,
    state: &StateTable,
    patience: Option<Duration>,
) -> Result<TableInfo, CliError> {
    let describe = || Box::pin(TableInfo::describe(clients, source));
    let info = connect::insist(patience, table_can_pass, describe).await?;
    connect::insist(patience, state_can_pass, || Box::pin(state.ensure(&info.arn))).await?;
    with_unfinished_stream(source, info, clients, state, patience).await
}

/// A stream that the group has not read to its end comes before its successor: it can be read for a day, and its
/// changes came first.
async fn with_unfinished_stream(
    source: &Source,
    info: TableInfo,
    clients: &SourceClients,
    state: &StateTable,
    patience: Option<Duration>,
) -> Result<TableInfo, CliError> {
    if matches!(source.table, TableReference::StreamArn(_)) {
        return Ok(info);
    }
    let time = Arc::new(ServiceTime::new(Arc::new(SystemClock::default())));
    let (store, label) = (Arc::new(partition(state, &info)), info.stream.arn.label());
    // Nothing is written, so that nobody hears of this worker.
    let known = Progress::new(store, time, label, Generations::new(), WorkerId::new("nobody"));
    let loaded = connect::insist(patience, state_can_pass, || Box::pin(known.load())).await?;
    let Some(label) = loaded.unfinished_stream() else { return Ok(info) };
    let arn = info.arn.stream(label);
    let describe = || Box::pin(StreamInfo::describe(clients, &arn));
    match connect::insist(patience, table_can_pass, describe).await {
        Ok(stream) => {
            tracing::warn!(
                stream = label,
                current = info.stream.arn.label(),
                "reading an earlier stream to its end first"
            );
            Ok(TableInfo { stream, ..info })
        }
        // Too late: the follower of the current one records the gap.
        Err(TableError::NoStream { .. }) => Ok(info),
        Err(error) => Err(error.into()),
    }
}

/// The items of the group about the table.
pub(crate) fn partition(state: &StateTable, info: &TableInfo) -> StatePartition {
    let key = Partition::Follow { group: state.group(), table: info.arn.as_str() }.key();
    StatePartition::new(state.clone(), key)
}

pub(crate) fn table_can_pass(error: &TableError) -> bool {
    matches!(error, TableError::Aws(error) if passes(error))
}

pub(crate) fn state_can_pass(error: &StateError) -> bool {
    error.aws().is_some_and(passes)
}

fn passes(error: &AwsError) -> bool {
    error.fault().passes_by_itself()
}
