//! The followers of `run`: one for each source, all with one writer.

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Config, Source};
use streamdex_delivery::rebuild::StoredReaders;
use streamdex_delivery::{BrakeRecords, ReadMemory};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::table::TableInfo;
use streamdex_poller::DescribeTurn;
use streamdex_poller::graph::Until;
use streamdex_poller::observe::Boards;
use streamdex_sink::index::TableFacts;
use streamdex_sink::{BulkWriter, Client, Indices, Learned, Patience, SetupContext, WriterSettings};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connect;
use crate::exit::CliError;
use crate::followed::{followed, state_can_pass};
use crate::following::Following;
use crate::shared::Shared;
use crate::worker::worker;

/// Brakes are looked at when a pause comes or goes, and so often.
const KEEP_BRAKES_EVERY: Duration = Duration::from_secs(60);

/// Sources that nobody follows yet.
pub(crate) struct Prepared {
    pub(crate) sources: Vec<Following>,
    /// What all of them write through.
    pub(crate) writer: BulkWriter,
    /// Ends the writer.
    pub(crate) writing: CancellationToken,
    /// The connection that the writer uses.
    pub(crate) opensearch: Client,
    /// Where the brakes of the writer are kept; `None` where no index can be braked.
    pub(crate) brakes: Option<BrakeRecords>,
}

/// Makes the first contact with everything, and a follower for each source.
pub(crate) async fn prepare(config: &Config, until: Until, boards: &Boards) -> Result<Prepared, CliError> {
    let patience = (until == Until::PresentEnd).then_some(connect::PATIENCE);
    let state = connect::state_table(config).await;
    let worker = worker();
    let mut found = Vec::new();
    let mut context = SetupContext::new().with_group(config.state.group.clone());
    for source in &config.sources {
        let clients = SourceClients::connect(source).await;
        let info = followed(source, &clients, &state, patience).await?;
        check(source, &info)?;
        let facts =
            TableFacts { arn: Some(info.arn.to_string()), id: info.id.clone(), key_attributes: info.keys.clone() };
        context = context.with_table(source.name.clone(), facts);
        found.push((source, info, clients));
    }
    let client = Client::connect(&config.opensearch, &config.aws).await?;
    let readers = Arc::new(StoredReaders::new(state.clone()));
    let indices = Arc::new(Indices::new(client.clone(), config, &context).with_readers(readers));
    let endless = until == Until::Stopped;
    let writer_patience = if endless { Patience::Endless } else { Patience::one_shot() };
    if endless {
        connect::nothing_else_than_opensearch(&indices).await?;
    } else {
        connect::opensearch(&indices).await?;
    }
    let writing = CancellationToken::new();
    let writer_settings = WriterSettings::new(&config.opensearch, writer_patience);
    let learned = Learned::new(&writer_settings);
    let records = || BrakeRecords::new(state.clone(), found.iter().map(|(_, info, _)| &info.arn));
    let brakes = writer_settings.brakes().then(records);
    if let Some(brakes) = &brakes {
        connect::insist(patience, state_can_pass, || Box::pin(brakes.recall(&learned))).await?;
    }
    let writer = BulkWriter::start_with(client.clone(), indices.clone(), writer_settings, learned, writing.clone());
    boards.set_writer(writer.clone());
    let letters = connect::letters(config).await;
    let shared = Arc::new(Shared {
        config: config.clone(),
        until,
        state,
        worker,
        indices,
        writer: writer.clone(),
        patience: writer_patience,
        letters,
        memory: ReadMemory::default(),
        search: boards.search_contact(),
        leases: Arc::default(),
        describe_turn: DescribeTurn::default(),
        client: client.clone(),
    });
    let mut sources = Vec::new();
    for (source, info, clients) in found {
        let following = Following::new(Arc::clone(&shared), source.clone(), clients, info);
        boards.add(&source.name, following.board());
        sources.push(following);
    }
    Ok(Prepared { sources, writer, writing, opensearch: client, brakes })
}

/// Keeps the brakes of a writer on record, as they come and go, and takes over those that other processes note: a standby
/// whose turn comes begins braked.
pub(crate) async fn keep_brakes(brakes: BrakeRecords, writer: BulkWriter) {
    let (mut pauses, learned) = (writer.watch_pauses(), writer.learned());
    let mut failed = false;
    loop {
        let kept = brakes.keep(&learned).await;
        let done = match kept {
            Ok(()) => brakes.recall(&learned).await,
            Err(error) => Err(error),
        };
        match done {
            Err(error) if !failed => {
                tracing::warn!(hint = error.hint(), "the brakes could not be stored: {error}");
                failed = true;
            }
            Err(_) => {}
            Ok(()) => failed = false,
        }
        if matches!(timeout(KEEP_BRAKES_EVERY, pauses.changed()).await, Ok(Err(_))) {
            // The writer has ended, and its owner knows that.
            return std::future::pending().await;
        }
    }
}

/// What the table tells about the configuration.
fn check(source: &Source, info: &TableInfo) -> Result<(), CliError> {
    connect::fits(source, info)?;
    if !info.stream.enabled {
        tracing::warn!(stream = info.stream.arn.label(), "the stream is turned off: reading it to its end");
    }
    if !info.replicas.is_empty() {
        let replicas = info.replicas.join(", ");
        tracing::info!(replicas, "this is a global table: only one region at a time may feed an index");
    }
    Ok(())
}
