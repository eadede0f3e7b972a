//! `streamdex replay`: applies captured records.

mod given_up;
mod objects;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use streamdex_config::{Config, DeadLetterKind, Source, TableArn};
use streamdex_delivery::letter::{DeadLetterStore, FileLetters};
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault, DeliveryProgress, PageOutcome, ReadMemory};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::item::{BatchGetReader, ItemReader};
use streamdex_dynamodb::size::TableSize;
use streamdex_dynamodb::table::{TableError, TableInfo};
use streamdex_mapping::{Mapper, Tally, Trust};
use streamdex_sink::{BulkWriter, Client, Indices, Patience, SetupContext, WriterSettings};
use tokio_util::sync::CancellationToken;

use self::given_up::Followed;
use crate::args::{Global, ReplayArgs};
use crate::bucket::Location;
use crate::captured::{CapturedFor, Capturer};
use crate::exit::{CliError, Exit};
use crate::input::{Input, Piece};
use crate::preflight::{Uses, preflight};
use crate::progress::{Progress, dead_letters};
use crate::summary::Summary;
use crate::watched::Watched;
use crate::{connect, output, settings, signals};

/// Pages that are delivered at the same time; those that share a key wait for one another.
const PAGES_AT_ONCE: usize = 8;
/// Where dead letters of `--images` go, unless `[dead_letter]` says otherwise: no AWS call is made then.
const LETTER_FILE: &str = "streamdex-dead-letters.ndjson";

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &ReplayArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let what_for = if arguments.images { CapturedFor::Images } else { CapturedFor::Reads };
    let trust = what_for.trust();
    let mut capturer = Capturer::new(&config, arguments.source.as_deref(), what_for)?;
    let inputs = Captured::open_all(&arguments.files, arguments)?;
    // With --images no AWS call is made but the one that the configuration asks for.
    let uses: &[Uses] = match what_for {
        CapturedFor::Reads => &[Uses::Sources, Uses::Letters, Uses::OpenSearch],
        _ if config.dead_letter.written_out => &[Uses::Letters, Uses::OpenSearch],
        _ => &[Uses::OpenSearch],
    };
    preflight(&config, uses).await?;
    if inputs.iter().any(|input| matches!(input, Captured::Objects(_))) {
        preflight(&config, &[Uses::State]).await?;
    }
    if arguments.remove && config.dead_letter.kind != DeadLetterKind::Table {
        let message = "--remove while dead letters go to a file, which may be lost with this machine";
        return Err(
            CliError::new(Exit::Usage, message).with_hint("remove [dead_letter] kind = \"file\", or omit --remove")
        );
    }
    let cancel = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(cancel.clone())?);
    let (deliveries, mut tables) = Box::pin(deliveries(&config, &mut capturer, trust, &cancel)).await?;
    if let Some(only) = &arguments.source {
        let named = config.sources.iter().zip(tables).filter(|(source, _)| source.name == *only);
        tables = named.map(|(_, table)| table).collect();
    }
    let mut replay = Replay::new(deliveries, tables, cancel);
    let ended = tokio::select! {
        ended = Box::pin(replay.work_off(inputs, (&config, &capturer, arguments.remove))) => ended,
        broken = watched.one_ended() => Err(broken),
    };
    // Work that was handed over is finished even after a failure, so that the summary is true.
    while replay.take_one().await.is_some() {}
    replay.finish(global, ended)
}

/// How many records a piece held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    records: usize,
    /// Those that cannot be mapped.
    unreadable: usize,
}

/// Where captured records are.
enum Captured {
    File(Input),
    Objects(Location),
}

/// The state of one replay.
struct Replay {
    deliveries: BTreeMap<usize, Arc<Delivery>>,
    /// The tables whose records objects may hold.
    tables: Vec<Followed>,
    in_flight: FuturesOrdered<tokio::task::JoinHandle<PageOutcome>>,
    /// The keys of each page in flight, hashed, and the number of its records; oldest first.
    busy: VecDeque<(HashSet<u64>, usize)>,
    hasher: RandomState,
    cancel: CancellationToken,
    tally: Tally,
    undecided: u64,
    fault: Option<DeliveryFault>,
    started: Instant,
    progress: Progress,
}

// === impl Captured ===

impl Captured {
    /// Opens files; objects are asked for when it is their turn.
    fn open_all(paths: &[PathBuf], arguments: &ReplayArgs) -> Result<Vec<Captured>, CliError> {
        let open = |path: &PathBuf| match path.to_str().map_or(Ok(None), Location::parse)? {
            None => Input::open(path).map(Captured::File),
            Some(location) if arguments.images => Err(images_of(&location)),
            Some(location) => Ok(Captured::Objects(location)),
        };
        let inputs: Vec<Captured> = paths.iter().map(open).collect::<Result<_, _>>()?;
        if arguments.remove && inputs.iter().any(|input| matches!(input, Captured::File(_))) {
            let message = "--remove works only on S3 objects, but a file is given";
            return Err(CliError::new(Exit::Usage, message).with_hint("omit --remove, or give only s3://BUCKET/PREFIX"));
        }
        Ok(inputs)
    }
}

/// Old images are for captures that a person has looked at.
fn images_of(location: &Location) -> CliError {
    CliError::new(Exit::Usage, format!("--images makes no AWS calls, but {location} needs them")).with_hint(format!(
        "omit --images, so that each item is read from the table; or copy the objects: aws s3 cp --recursive {location} ."
    ))
}

// === impl Replay ===

impl Replay {
    fn new(deliveries: BTreeMap<usize, Arc<Delivery>>, tables: Vec<Followed>, cancel: CancellationToken) -> Replay {
        Replay {
            deliveries,
            tables,
            in_flight: FuturesOrdered::new(),
            busy: VecDeque::new(),
            hasher: RandomState::new(),
            cancel,
            tally: Tally::default(),
            undecided: 0,
            fault: None,
            started: Instant::now(),
            progress: Progress::start(None),
        }
    }

    async fn work_off(
        &mut self,
        inputs: Vec<Captured>,
        (config, capturer, remove): (&Config, &Capturer, bool),
    ) -> Result<(), CliError> {
        let mut left = None;
        for input in inputs {
            match input {
                Captured::File(input) => self.apply(input, capturer).await?,
                // What is left of one bucket keeps nobody from the next one.
                Captured::Objects(location) => {
                    let ended = self.work_off_objects(&config.state, capturer, location, remove).await;
                    left = left.or(ended.err());
                }
            }
            if self.is_over() {
                break;
            }
        }
        left.map_or(Ok(()), Err)
    }

    /// Hands over what is in one file, until there is no use in going on.
    async fn apply(&mut self, mut input: Input, capturer: &Capturer) -> Result<(), CliError> {
        let mut records = 0;
        while let Some(piece) = input.next_piece()? {
            records += self.apply_piece(&input.name, &piece, capturer).await?.records;
            if self.is_over() {
                return Ok(());
            }
        }
        if records == 0 {
            output::note(&format!("{}: no records\n", input.name));
        }
        Ok(())
    }

    /// Hands over what is in one piece of an input.
    async fn apply_piece(&mut self, name: &str, piece: &Piece, capturer: &Capturer) -> Result<Found, CliError> {
        let capture = capturer.capture(name, piece)?;
        if !capture.items.is_empty() {
            return Err(items(name, capturer.trust()));
        }
        let unreadable = capture.pages.values().map(Page::refused).sum();
        let found = Found { records: capture.order.len(), unreadable };
        for (source, page) in capture.pages {
            self.submit(source, page).await;
        }
        Ok(found)
    }

    /// Whether nothing more is to be sent.
    fn is_over(&self) -> bool {
        self.fault.is_some() || self.cancel.is_cancelled()
    }

    /// Hands a page over as soon as no page in flight shares a key with it.
    async fn submit(&mut self, source: usize, page: Page) {
        let Some(delivery) = self.deliveries.get(&source).cloned() else { return };
        let known = page.keys().filter(|key| !key.is_empty());
        let keys: HashSet<u64> = known.map(|key| self.hasher.hash_one((source, key))).collect();
        while self.in_flight.len() >= PAGES_AT_ONCE || self.busy.iter().any(|(busy, _)| !busy.is_disjoint(&keys)) {
            if self.take_one().await.is_none() {
                break;
            }
        }
        let bounds = Bounds::from(self.cancel.clone());
        self.busy.push_back((keys, page.len()));
        self.in_flight.push_back(tokio::spawn(async move { delivery.deliver_page(page, &bounds).await }));
    }

    /// Waits for the oldest page.
    async fn take_one(&mut self) -> Option<()> {
        let done = self.in_flight.next().await?;
        let (_, records) = self.busy.pop_front()?;
        match done {
            Ok(delivered) => self.count(delivered),
            // Its records are not decided.
            Err(_) => {
                self.undecided += u64::try_from(records).unwrap_or(u64::MAX);
                self.fault.get_or_insert(DeliveryFault::Broken);
            }
        }
        self.progress.set(self.tally.records(), &dead_letters(&self.tally).unwrap_or_default());
        Some(())
    }

    fn count(&mut self, delivered: PageOutcome) {
        for outcome in delivered.outcomes {
            match outcome {
                Some(outcome) => self.tally.add(outcome),
                None => self.undecided += 1,
            }
        }
        if let Some(fault) = delivered.fault {
            self.fault.get_or_insert(fault);
        }
    }

    fn finish(self, global: &Global, ended: Result<(), CliError>) -> Result<Exit, CliError> {
        self.progress.finish();
        let summary = Summary::new(self.tally, self.undecided, self.started.elapsed());
        summary.print(global.json)?;
        ended?;
        if self.cancel.is_cancelled() && self.fault.is_none() {
            let message = "stopped before everything was processed";
            return Err(CliError::new(Exit::Unreachable, message).with_hint("run it again; finished work is kept"));
        }
        match self.fault {
            None => Ok(summary.exit()),
            Some(fault) => Err(fault.into()),
        }
    }
}

/// Items that cannot be replayed.
fn items(input: &str, trust: Trust) -> CliError {
    match trust {
        Trust::InOrder => {
            CliError::new(Exit::Usage, format!("{input}: items are not changes, so their images have no version"))
                .with_hint("omit --images: each item is then read from the table by its key")
        }
        Trust::ReadItem => CliError::new(Exit::Usage, format!("{input}: an item lacks the table's key"))
            .with_hint("scan whole items, without a projection; `streamdex map` shows items"),
    }
}

/// A delivery for each source, over one writer.
async fn deliveries(
    config: &Config,
    capturer: &mut Capturer,
    trust: Trust,
    cancel: &CancellationToken,
) -> Result<(BTreeMap<usize, Arc<Delivery>>, Vec<Followed>), CliError> {
    let client = Client::connect(&config.opensearch, &config.aws).await?;
    let context = match trust {
        Trust::InOrder => SetupContext::new(),
        Trust::ReadItem => Box::pin(connect::table_facts(config, |_| true)).await?,
    };
    let letters = letters(config, trust).await;
    let (readers, tables) = Box::pin(readers(config, capturer, trust)).await?;
    let indices = Arc::new(Indices::new(client.clone(), config, &context));
    connect::opensearch(&indices).await?;
    let patience = Patience::one_shot();
    let settings = WriterSettings::new(&config.opensearch, patience);
    let writer = BulkWriter::start(client, indices.clone(), settings, cancel.clone());
    let memory = ReadMemory::default();
    let mut deliveries = BTreeMap::new();
    for (place, (source, reader)) in config.sources.iter().zip(readers).enumerate() {
        let mapper = capturer.mapper(place).cloned().unwrap_or_else(|| Arc::new(Mapper::new(Vec::new())));
        let delivery = Delivery {
            table: source.table.table_name().to_owned(),
            mapper,
            reader,
            indices: indices.clone(),
            writer: writer.clone(),
            letters: letters.clone(),
            patience,
            progress: DeliveryProgress::under_way(),
            memory: memory.clone(),
        };
        deliveries.insert(place, Arc::new(delivery));
    }
    Ok((deliveries, tables))
}

/// `--images` makes no AWS call, so its letters go to a file unless the configuration says otherwise.
async fn letters(config: &Config, trust: Trust) -> Arc<dyn DeadLetterStore> {
    if trust == Trust::InOrder && !config.dead_letter.written_out {
        return Arc::new(FileLetters::new(LETTER_FILE));
    }
    connect::letters(config).await
}

type Readers = Vec<Option<Arc<dyn ItemReader>>>;

/// A reader for each source, whose table is asked for first: without it nothing can be replayed.
async fn readers(config: &Config, capturer: &mut Capturer, trust: Trust) -> Result<(Readers, Vec<Followed>), CliError> {
    let (mut readers, mut tables) = (Readers::new(), Vec::new());
    for (place, source) in config.sources.iter().enumerate() {
        if trust == Trust::InOrder {
            readers.push(None);
            continue;
        }
        let clients = SourceClients::connect(source).await;
        let (keys, arn) = Box::pin(reach(&clients, source)).await?;
        capturer.set_keys(place, keys);
        tables.push(Followed { name: source.table.table_name().to_owned(), arn });
        readers.push(Some(Arc::new(BatchGetReader::new(clients.dynamodb, source.table.table_name()))));
    }
    Ok((readers, tables))
}

/// Checks that items can be read from the table; its key attributes and its ARN.
async fn reach(clients: &SourceClients, source: &Source) -> Result<(Vec<String>, Option<TableArn>), CliError> {
    let described = async {
        match Box::pin(TableInfo::describe(clients, source)).await {
            Ok(info) => Ok((info.keys, Some(info.arn))),
            // Items are read from the table alone; its stream may be off or gone.
            Err(TableError::StreamDisabled(table)) => {
                let size = Box::pin(TableSize::describe(&clients.dynamodb, &table)).await;
                size.map(|size| (size.key_names(), size.arn)).map_err(TableError::Aws)
            }
            Err(error) => Err(error),
        }
    };
    let problem = match tokio::time::timeout(connect::PATIENCE, described).await {
        Ok(Ok(reached)) => return Ok(reached),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "DynamoDB did not answer".to_owned(),
    };
    let message = format!("table {} cannot be read: {problem}", source.table.table_name());
    let hint = "replay reads each item from the table; to use the recorded images instead, give --images";
    Err(CliError::new(Exit::Unreachable, message).with_hint(hint))
}
