//! Reads the state table.

use std::sync::Arc;

use streamdex_config::{Config, Source};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::StateTable;
use streamdex_dynamodb::table::{TableError, TableInfo};
use streamdex_dynamodb::time::now;
use streamdex_poller::clock::{ServiceTime, SystemClock};
use streamdex_poller::lease::WorkerId;
use streamdex_poller::observe::TableReport;
use streamdex_poller::state::{Generations, Loaded, Progress};

use crate::connect;
use crate::exit::CliError;
use crate::followed::partition;

/// The followed tables, as the state table knows them.
pub(super) struct Tables(Vec<TableStatus>);

/// One followed table, as the state table knows it.
pub(crate) struct TableStatus {
    /// Whose it is.
    head: TableReport,
    progress: Progress,
}

// === impl Tables ===

impl Tables {
    /// Asks each source for its table's ARN and the label of its stream: they are part of the keys.
    ///
    /// # Errors
    /// A table cannot be described.
    pub(super) async fn connect(config: &Config) -> Result<Tables, CliError> {
        let state = connect::state_table(config).await;
        let mut tables = Vec::with_capacity(config.sources.len());
        for source in &config.sources {
            tables.push(Box::pin(connect::within(TableStatus::of_source(source, &state))).await?);
        }
        Ok(Tables(tables))
    }

    /// Everything there is at this moment.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(super) async fn reports(&self) -> Result<Vec<TableReport>, CliError> {
        let mut reports = Vec::with_capacity(self.0.len());
        for table in &self.0 {
            reports.push(table.report().await?);
        }
        Ok(reports)
    }
}

impl TableStatus {
    /// One table; none where it has no stream, so that nobody follows it.
    ///
    /// # Errors
    /// The table cannot be described.
    pub(crate) async fn of_followed(config: &Config, source: &Source) -> Result<Option<TableStatus>, CliError> {
        let state = connect::state_table(config).await;
        let clients = SourceClients::connect(source).await;
        let described = async { Ok(TableInfo::describe(&clients, source).await) };
        match Box::pin(connect::within(described)).await? {
            Ok(info) => Ok(Some(TableStatus::new(source, info, &state))),
            Err(TableError::StreamDisabled(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn of_source(source: &Source, state: &StateTable) -> Result<TableStatus, CliError> {
        let clients = SourceClients::connect(source).await;
        let info = Box::pin(TableInfo::describe(&clients, source)).await?;
        Ok(TableStatus::new(source, info, state))
    }

    /// One table, of which this is known.
    pub(crate) fn new(source: &Source, info: TableInfo, state: &StateTable) -> TableStatus {
        let store = Arc::new(partition(state, &info));
        let time = Arc::new(ServiceTime::new(Arc::new(SystemClock::default())));
        // Nothing is written, so that nobody hears of this worker.
        let nobody = WorkerId::new("status");
        let progress = Progress::new(store, time, info.stream.arn.label(), Generations::new(), nobody);
        let head = TableReport {
            source: source.name.clone(),
            table: info.table,
            stream: info.stream.arn.label().to_owned(),
            group: state.group().to_owned(),
            ..TableReport::default()
        };
        TableStatus { head, progress }
    }

    /// What the group has stored about the table.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(crate) async fn load(&self) -> Result<Loaded, CliError> {
        connect::within(async { Ok(self.progress.load().await?) }).await
    }

    /// Everything there is at this moment.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(crate) async fn report(&self) -> Result<TableReport, CliError> {
        let loaded = self.load().await?;
        let TableReport { source, table, stream, group, .. } = self.head.clone();
        Ok(TableReport { source, table, stream, group, ..TableReport::of(&loaded, now()) })
    }
}
