//! What `run` follows: a follower for each source, over one writer.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamdex_config::{Config, OnGap, Source, TableReference, fingerprint};
use streamdex_delivery::backfill::{BackfillStore, StoredBackfill};
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::{BrakeRecords, Delivery, DeliveryProgress, ReadMemory};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::{Partition, StateError, StatePartition, StateTable};
use streamdex_dynamodb::stream::SdkStream;
use streamdex_dynamodb::table::{StreamInfo, TableError, TableInfo};
use streamdex_mapping::Mapper;
use streamdex_poller::clock::{ServiceTime, SystemClock};
use streamdex_poller::follow::{Parts, Settings, generations, sole_index};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::observe::Boards;
use streamdex_poller::state::{Generations, Progress};
use streamdex_poller::{DescribeTurn, SearchContact};
use streamdex_sink::index::TableFacts;
use streamdex_sink::{BulkWriter, Client, Indices, Learned, Patience, SetupContext, WriterSettings};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::closing::{ClosesItself, Closing};
use crate::connect;
use crate::exit::CliError;
use crate::filling::Filling;
use crate::following::Following;
use crate::pause::Pause;
use crate::reached::Reached;

/// `--until-end` gives up after so long without progress.
const WITHOUT_PROGRESS: Duration = Duration::from_secs(60);

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

/// What all sources share.
pub(crate) struct Shared {
    config: Config,
    until: Until,
    pub(crate) state: StateTable,
    worker: WorkerId,
    indices: Arc<Indices>,
    writer: BulkWriter,
    patience: Patience,
    letters: Arc<dyn DeadLetterStore>,
    memory: ReadMemory,
    search: SearchContact,
    /// Leases that this process has.
    leases: Arc<AtomicUsize>,
    describe_turn: DescribeTurn,
    client: Client,
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
    let indices = Arc::new(Indices::new(client.clone(), config, &context));
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
                tracing::warn!(hint = error.hint(), "the brakes are not noted: {error}");
                failed = true;
            }
            Err(_) => {}
            Ok(()) => failed = false,
        }
        if matches!(timeout(KEEP_BRAKES_EVERY, pauses.changed()).await, Ok(Err(_))) {
            // The writer has ended, and whoever owns it knows that.
            return std::future::pending().await;
        }
    }
}

impl Shared {
    /// What closes the gaps of a source, where the configuration wants that.
    pub(crate) fn closes_itself(
        &self,
        source: &Source,
        clients: &SourceClients,
        info: &TableInfo,
        pause: Arc<Mutex<Pause>>,
    ) -> Option<ClosesItself> {
        let closes = source.on_gap == OnGap::Resnapshot && self.until == Until::Stopped;
        closes.then(|| {
            let command = WorkerId::new(format!("{}-closes-a-gap", self.worker));
            let closing = Closing::new(&self.config, source, clients, info, (&self.state, command));
            ClosesItself::new(closing, self.backfills(info), pause)
        })
    }

    /// What a follower of a source works with, and how.
    pub(crate) fn follows(
        &self,
        source: &Source,
        info: &TableInfo,
        clients: &SourceClients,
        closes: Option<Arc<ClosesItself>>,
    ) -> (Parts, Settings) {
        let reached = Reached {
            table: info.table.clone(),
            clients: clients.clone(),
            client: self.client.clone(),
            indices: self.indices.clone(),
            mapper: Arc::new(Mapper::new(source.routes.clone())),
            letters: Arc::clone(&self.letters),
            memory: self.memory.clone(),
            patience: self.patience,
        };
        let delivery = reached.delivery(reached.items(), self.writer.clone());
        let delivery = Delivery { progress: DeliveryProgress::at_start(), ..delivery };
        let filling = Filling {
            source: source.clone(),
            label: info.stream.arn.label().to_owned(),
            reached,
            writer: self.writer.clone(),
            writer_settings: WriterSettings::new(&self.config.opensearch, self.patience),
            store: self.backfills(info),
            closes,
            worker: self.worker.clone(),
            until: self.until,
        };
        // A stream that is named by its ARN is followed as that one; a table's is asked for now and then.
        let table = matches!(source.table, TableReference::Name(_)).then(|| info.table.clone());
        let indices = Arc::clone(&self.indices);
        let parts = Parts {
            source: Arc::new(SdkStream::new(clients.clone(), info.stream.arn.clone(), table)),
            deliver: Arc::new(delivery),
            store: Arc::new(partition(&self.state, info)),
            indices: self.indices.clone(),
            clock: Arc::new(SystemClock::default()),
            search: self.search.clone(),
            describe_turn: self.describe_turn.clone(),
            cluster: Arc::new(move || indices.cluster()),
            beside: Some(Arc::new(filling)),
        };
        let settings = Settings {
            stream_arn: info.stream.arn.clone(),
            worker: self.worker.clone(),
            routes: fingerprint(source),
            start: source.start,
            until: self.until,
            generations: generations(&self.config, source),
            sole_index: sole_index(source),
            freshness: source.freshness,
            patience: (self.until == Until::PresentEnd).then_some(WITHOUT_PROGRESS),
            leases: Arc::clone(&self.leases),
            seed: random(),
        };
        tracing::info!(
            table = info.table,
            stream = info.stream.arn.label(),
            view = info.stream.view.name(),
            "following"
        );
        (parts, settings)
    }

    /// Where it is kept how far the table is filled.
    fn backfills(&self, info: &TableInfo) -> Arc<dyn BackfillStore> {
        Arc::new(StoredBackfill::new(self.state.clone(), &info.arn))
    }
}

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

/// A stream that the group has begun and not read to its end goes before the one that took its place: it can be
/// read for a day, and what it holds came first.
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
                "an earlier stream is read to its end first"
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

/// What the table tells about the configuration.
fn check(source: &Source, info: &TableInfo) -> Result<(), CliError> {
    connect::fits(source, info)?;
    if !info.stream.enabled {
        tracing::warn!(stream = info.stream.arn.label(), "the stream is switched off: it is read to its end");
    }
    if !info.replicas.is_empty() {
        let replicas = info.replicas.join(", ");
        tracing::info!(replicas, "a global table: let one region at a time feed an index");
    }
    Ok(())
}

pub(crate) fn table_can_pass(error: &TableError) -> bool {
    matches!(error, TableError::Aws(error) if passes(error))
}

fn state_can_pass(error: &StateError) -> bool {
    error.aws().is_some_and(passes)
}

fn passes(error: &AwsError) -> bool {
    error.fault().passes_by_itself()
}

/// Another one in each process.
pub(crate) fn worker() -> WorkerId {
    let named = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    let host = std::env::var("HOSTNAME").ok().filter(|host| !host.is_empty()).or_else(named);
    // Replicas must not take each other for one host, which lets others go first where it did not get on.
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| format!("streamdex{:04x}", random() & 0xffff));
    WorkerId::of_process(&host, random())
}

/// A new number in each process; the standard library seeds its hashers from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
