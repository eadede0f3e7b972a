//! One table and its indices, for the commands that read all of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use streamdex_config::{Config, Source};
use streamdex_delivery::backfill::BackfillStore;
use streamdex_delivery::indices::{IndexSetup, KnownIndices};
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::rebuild::StoredReaders;
use streamdex_delivery::{Delivery, ReadMemory, Term};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::size::TableSize;
use streamdex_dynamodb::stream::KEPT_SECONDS;
use streamdex_mapping::Mapper;
use streamdex_poller::observe::TableReport;
use streamdex_reconcile::backfill::{self, Backfill};
use streamdex_reconcile::verify::Lag;
use streamdex_reconcile::{Mirror, Repair};
use streamdex_sink::index::TableFacts;
use streamdex_sink::index::flavour::is_serverless;
use streamdex_sink::{BulkWriter, Client, Indices, Patience, SetupContext, Targets, WriterSettings};
use tokio_util::sync::CancellationToken;

use crate::connect;
use crate::exit::{CliError, Exit};
use crate::reached::Reached;
use crate::status::TableStatus;

/// A page of a scan is written, or its items are read again, in so long after the read may have become too old.
const WRITTEN_WITHIN: Duration = Duration::from_secs(25);

/// One table and its indices.
pub(crate) struct Mirrored {
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) size: TableSize,
    config: Config,
    reached: Reached,
}

/// The lag is as old as the last beat of the reader, and 0 from one poll to the next one.
const BEAT: Duration = Duration::from_millis(1_500);
/// A call, and what hands its page over: as the lag has it.
const CALL_AND_HAND_OVER: Duration = Duration::from_secs(2);

/// The time beyond the reader's lag for which a difference must persist, so that no change is on its way.
pub(crate) fn margin(source: &Source) -> Duration {
    source.freshness + source.freshness / 10 + CALL_AND_HAND_OVER + BEAT
}

/// How far behind the reader of a table is.
pub(crate) enum ReaderLag {
    /// As the user says.
    Given(Duration),
    /// As the reader says in the state table.
    Told { status: Box<TableStatus>, last: Mutex<Known>, with_fill: bool },
    /// The table has no stream, so there is no reader.
    NoReader,
}

/// What the state table said last, and when.
pub(crate) struct Known {
    lag: Option<Duration>,
    at: Instant,
}

// === impl Mirrored ===

impl Mirrored {
    /// Makes the first contact with the table, its indices and the store of dead letters.
    ///
    /// # Errors
    /// One of them cannot be reached, or does not fit the configuration.
    pub(crate) async fn connect(
        config: &Config,
        source: &Source,
        letters: Arc<dyn DeadLetterStore>,
    ) -> Result<Mirrored, CliError> {
        let clients = SourceClients::connect(source).await;
        let table = source.table.table_name();
        let described = async { Ok(Box::pin(TableSize::describe(&clients.dynamodb, table)).await) };
        let size = connect::within(described).await?.map_err(|error| unreadable(table, error))?;
        let facts = facts_of(&size);
        connect::keys_fit(source, &facts.key_attributes)?;
        let context = SetupContext::new().with_table(source.name.clone(), facts).with_group(config.state.group.clone());
        let client = Client::connect(&config.opensearch, &config.aws).await?;
        let readers = StoredReaders::new(connect::state_table(config).await);
        let indices = Arc::new(Indices::new(client.clone(), config, &context).with_readers(Arc::new(readers)));
        connect::opensearch(&indices).await?;
        let reached = Reached {
            table: table.to_owned(),
            clients,
            client,
            indices,
            mapper: Arc::new(Mapper::new(source.routes.clone())),
            letters,
            memory: ReadMemory::default(),
            patience: Patience::one_shot(),
        };
        Ok(Mirrored { mirror: reached.mirror(size.keys.clone()), size, config: config.clone(), reached })
    }

    /// A job that writes all items to `indices` instead of their own, and its dead letters to `letters`.
    pub(crate) fn dry_run(
        &self,
        store: Arc<dyn BackfillStore>,
        settings: backfill::Settings,
        (indices, letters): (Arc<impl IndexSetup + Targets>, Arc<dyn DeadLetterStore>),
        cancel: &CancellationToken,
    ) -> Backfill {
        let settings_of_writer = WriterSettings { brake_after: 0, brake_after_field: 0, ..self.writer_settings() };
        let client = self.reached.client.clone();
        let writer = BulkWriter::start(client, indices.clone(), settings_of_writer, cancel.clone());
        let make = |reader| {
            let delivery = self.reached.delivery(reader, writer);
            Delivery { indices, letters, ..delivery }
        };
        Backfill::through(self.mirror.clone(), store, settings, make)
    }

    /// Whether the indices are in a collection of OpenSearch Serverless.
    pub(crate) fn is_serverless(&self) -> bool {
        is_serverless(&self.config.opensearch)
    }

    /// The indices of the configuration.
    pub(crate) fn indices(&self) -> Arc<Indices> {
        Arc::clone(&self.reached.indices)
    }

    /// The delivery to the indices. Indices in the group's state are never created again.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(crate) async fn repair(&self, cancel: &CancellationToken) -> Result<Repair, CliError> {
        self.remember_indices().await?;
        Ok(self.reached.repair(self.writer_settings(), cancel))
    }

    /// What fills the indices.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(crate) async fn backfill(
        &self,
        store: Arc<dyn BackfillStore>,
        settings: backfill::Settings,
        cancel: &CancellationToken,
    ) -> Result<Backfill, CliError> {
        self.remember_indices().await?;
        let writer = self.writer_settings();
        // The reader of the stream repeats its deletes a minute later: by then a page is written, or read again.
        let writer = WriterSettings { request_timeout: writer.request_timeout.min(WRITTEN_WITHIN), ..writer };
        let Reached { client, indices, .. } = &self.reached;
        let writer = BulkWriter::start(client.clone(), indices.clone(), writer, cancel.clone());
        let make = |reader| self.reached.delivery(reader, writer);
        Ok(Backfill::through(self.mirror.clone(), store, settings, make))
    }

    /// See [`Reached::note_indices`].
    pub(crate) async fn note_indices(&self, store: &dyn BackfillStore, term: Term<'_>) -> Result<bool, CliError> {
        Ok(self.reached.note_indices(store, term).await?)
    }

    async fn remember_indices(&self) -> Result<(), CliError> {
        let Some(arn) = &self.size.arn else { return Ok(()) };
        let known = KnownIndices::new(connect::state_table(&self.config).await, arn);
        self.reached.indices.remember(connect::within(async { Ok(known.load().await?) }).await?);
        Ok(())
    }

    fn writer_settings(&self) -> WriterSettings {
        WriterSettings::new(&self.config.opensearch, Patience::one_shot())
    }
}

// === impl ReaderLag ===

impl ReaderLag {
    /// The lag from the user, else from the reader's entry in the state table, if any.
    ///
    /// # Errors
    /// The state table does not show whether there is a reader.
    pub(crate) async fn connect(
        config: &Config,
        source: &Source,
        given: Option<Duration>,
    ) -> Result<ReaderLag, CliError> {
        if let Some(lag) = given {
            return Ok(ReaderLag::Given(lag));
        }
        let unknown = |error: CliError| {
            let message = format!("the lag of the index is unknown: {error}");
            CliError::new(error.exit(), message).with_hint("correct the error, or give the lag with --lag SECONDS")
        };
        let Some(status) = Box::pin(TableStatus::of_followed(config, source)).await.map_err(unknown)? else {
            return Ok(ReaderLag::NoReader);
        };
        let report = status.report().await.map_err(unknown)?;
        if let Some(lease) = report.lease.as_ref().filter(|lease| lease.reader.is_none()) {
            let seconds = lease.beat_seconds_ago;
            tracing::warn!(seconds, "nobody reads the stream now: changes since then count as differences");
        }
        let lag = lag_in(&report);
        let last = Mutex::new(Known { lag, at: Instant::now() });
        Ok(ReaderLag::Told { status: Box::new(status), last, with_fill: false })
    }

    /// The same, where somebody who fills the table may still come to any item.
    pub(crate) fn with_fill(self) -> ReaderLag {
        match self {
            ReaderLag::Told { status, last, .. } => ReaderLag::Told { status, last, with_fill: true },
            other => other,
        }
    }
}

/// The lag from the lease of a table; `None` if nobody has the lease or its owner is gone, so that no change is on its
/// way. A reader that has read nothing yet may be as far behind as the stream is long.
fn lag_in(report: &TableReport) -> Option<Duration> {
    let lease = report.lease.as_ref().filter(|lease| lease.live_reader().is_some())?;
    Some(lease.lag().unwrap_or(Duration::from_secs(KEPT_SECONDS)))
}

/// For people. As long as a stream is kept is no figure: a fill has an owner, or the reader has read nothing yet.
pub(crate) fn behind(lag: Option<Duration>) -> String {
    match lag {
        None => "nobody reports the lag".to_owned(),
        Some(lag) if lag.as_secs() >= KEPT_SECONDS => {
            "the reader has just started, or the table is being filled".to_owned()
        }
        Some(lag) => format!("{} s behind", lag.as_secs()),
    }
}

#[async_trait]
impl Lag for ReaderLag {
    async fn lag(&self) -> Option<Duration> {
        let (status, last, with_fill) = match self {
            ReaderLag::Given(lag) => return Some(*lag),
            ReaderLag::NoReader => return None,
            ReaderLag::Told { status, last, with_fill } => (status, last, *with_fill),
        };
        let told = status.report().await;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Ok(report) => {
                let is_filling = with_fill && report.backfill.as_ref().is_some_and(|fill| fill.owner.is_some());
                let lag = if is_filling { Some(Duration::from_secs(KEPT_SECONDS)) } else { lag_in(&report) };
                *last = Known { lag, at: Instant::now() };
            }
            // What was true then may be longer ago by now.
            Err(error) => {
                tracing::warn!("the lag is unknown: {error}");
                return last.lag.map(|lag| lag + last.at.elapsed());
            }
        }
        last.lag
    }
}

/// What index set-up wants to know of a table.
pub(crate) fn facts_of(size: &TableSize) -> TableFacts {
    TableFacts {
        arn: size.arn.as_ref().map(ToString::to_string),
        id: size.id.clone(),
        key_attributes: size.key_names(),
    }
}

fn unreadable(table: &str, error: streamdex_dynamodb::AwsError) -> CliError {
    let hint = error.hint().to_owned();
    CliError::new(Exit::Unreachable, format!("table {table} cannot be described")).caused_by(error).with_hint(hint)
}
