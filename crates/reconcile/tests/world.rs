//! A table and an index in memory, on paused time: versions, tombstones and routing as OpenSearch has them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use streamdex_config::{Compression, TableArn};
use streamdex_delivery::backfill::{BackfillRecord, BackfillStore, Stored};
use streamdex_delivery::indices::{IndexSetup, IndexWatch};
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_delivery::{Delivery, DeliveryProgress, ReadMemory};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::item::{Found, ItemRead, ItemReader};
use streamdex_dynamodb::scan::{ScanPage, ScanPosition, ScanSource, Segment};
use streamdex_dynamodb::state::StateError;
use streamdex_mapping::{Address, IndexName, Key, KeyAttribute, KeyType, Mapper, Route};
use streamdex_reconcile::backfill::{self, Backfill};
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::verify::{Difference, DifferenceSink, Lag, Report, Scope, Settings, Verify};
use streamdex_reconcile::{Mirror, Repair};
use streamdex_sink::index::{GroupState, KnownIndex, SetupError, Target, VanishedIndex};
use streamdex_sink::read::{Entry, EntryPage, HeldIndex, IndexReader, Slice, StoredDocument, Walk};
use streamdex_sink::{
    Answer, BodyEncoding, BulkTransport, BulkWriter, ClientError, Patience, ShortStreak, Targets, WriterSettings,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub(crate) const BEGIN: u64 = 1_700_000_000;
/// Concrete index, id and routing.
type Place = (String, String, Option<String>);

/// Everything outside of a job.
pub(crate) struct World {
    start: Instant,
    pub(crate) routes: Vec<Route>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Items as DynamoDB JSON, by their partition key.
    pub(crate) items: BTreeMap<String, String>,
    pub(crate) documents: BTreeMap<Place, (u64, Option<String>)>,
    pub(crate) archives: Vec<String>,
    pub(crate) letters: BTreeMap<LetterKey, DeadLetter>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) lag: Duration,
    /// What happens when an item, or a page of them, is read for the nth time.
    pub(crate) at_read: BTreeMap<u32, fn(&mut State)>,
    pub(crate) reads: u32,
    /// Ids that are refused.
    pub(crate) refused: Vec<String>,
    pub(crate) requests: u32,
    /// How many items a page has; all of its segment, where it is 0.
    pub(crate) page_items: usize,
    /// Scan pages that were asked for.
    pub(crate) pages: u32,
    /// Requests that are carried out and not answered, by number.
    pub(crate) unanswered: Vec<u32>,
    /// Requests before this second are answered with 429.
    pub(crate) throttled_until: u64,
    /// How long after it was carried out a request is answered.
    pub(crate) takes: Duration,
    pub(crate) record: Option<BackfillRecord>,
    pub(crate) gaps: usize,
    /// The UUID of each index in the state table.
    pub(crate) noted: BTreeMap<String, String>,
    /// The index is gone.
    pub(crate) vanished: bool,
}

impl World {
    pub(crate) fn new(routes: Vec<Route>) -> Arc<World> {
        Arc::new(World { start: Instant::now(), routes, state: Mutex::default() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The service's time, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        BEGIN + self.start.elapsed().as_secs()
    }

    fn read(&self) {
        let mut state = self.state();
        state.reads += 1;
        let reads = state.reads;
        if let Some(happens) = state.at_read.get(&reads).copied() {
            happens(&mut state);
        }
    }

    pub(crate) fn mirror(self: &Arc<World>) -> Arc<Mirror> {
        Arc::new(Mirror {
            table: "sessions".into(),
            keys: vec![KeyAttribute { name: "pk".into(), kind: KeyType::String }],
            mapper: Arc::new(Mapper::new(self.routes.clone())),
            scan: self.clone(),
            items: self.clone(),
            index: self.clone(),
            letters: self.clone(),
            patience: Patience::one_shot(),
            progress: DeliveryProgress::under_way(),
        })
    }

    pub(crate) fn repair(self: &Arc<World>) -> Repair {
        Repair::through(|letters| self.delivery(self.clone(), letters))
    }

    /// Fills through a delivery of its own, as another process does.
    pub(crate) fn backfill(self: &Arc<World>, settings: backfill::Settings) -> Arc<Backfill> {
        let make = |reader| self.delivery(reader, self.clone());
        Arc::new(Backfill::through(self.mirror(), self.clone(), settings, make))
    }

    fn delivery(self: &Arc<World>, reader: Arc<dyn ItemReader>, letters: Arc<dyn DeadLetterStore>) -> Delivery {
        let second = Duration::from_secs;
        let settings = WriterSettings {
            compression: Compression::None,
            max_batch_bytes: 1 << 20,
            max_batch_operations: 100,
            max_concurrent_requests: 2,
            request_timeout: second(10),
            linger: Duration::from_millis(10),
            memory: 1 << 20,
            first_retry: Duration::from_millis(100),
            longest_retry: second(10),
            oldest_read: second(30),
            stop_grace: second(1),
            patience: Patience::one_shot(),
            brake_after: 0,
            brake_after_field: 0,
            short_streak: ShortStreak::Refuse { proven: second(1), unproven: second(1) },
            seed: Some(1),
        };
        let writer = BulkWriter::start_on(self.clone(), self.clone(), settings, CancellationToken::new());
        Delivery {
            table: "sessions".into(),
            mapper: Arc::new(Mapper::new(self.routes.clone())),
            reader: Some(reader),
            indices: self.clone(),
            writer,
            letters,
            patience: Patience::one_shot(),
            progress: DeliveryProgress::under_way(),
            memory: ReadMemory::default(),
        }
    }

    pub(crate) async fn verify(self: &Arc<World>, repair: Option<Repair>) -> Report {
        self.verify_at(Pace::new(None), repair).await
    }

    pub(crate) async fn verify_at(self: &Arc<World>, pace: Pace, repair: Option<Repair>) -> Report {
        let settings = Settings {
            scope: Scope::Full,
            items: 0,
            segments: 2,
            pace,
            lag: self.clone(),
            patience: Duration::from_secs(900),
            folder: std::env::temp_dir(),
            repair,
        };
        self.state().differences.clear();
        Verify::new(self.mirror(), settings, self.clone()).run(&CancellationToken::new()).await.unwrap()
    }
}

impl State {
    pub(crate) fn put(&mut self, key: &str, value: u32) {
        let item = json!({"pk": {"S": key}, "n": {"N": value.to_string()}}).to_string();
        self.items.insert(key.into(), item);
    }

    /// A document of the index `i`, as a change of that second wrote it.
    pub(crate) fn index(&mut self, id: &str, value: u32, second: u64) {
        let source = format!(r#"{{"n":{value},"pk":"{id}"}}"#);
        self.documents.insert(("i-000001".into(), id.into(), None), (second << 31, Some(source)));
    }

    pub(crate) fn drop_document(&mut self, id: &str) {
        self.documents.remove(&("i-000001".into(), id.into(), None));
    }

    pub(crate) fn document(&self, id: &str) -> Option<&str> {
        self.documents.get(&("i-000001".into(), id.into(), None))?.1.as_deref()
    }
}

#[async_trait]
impl ScanSource for World {
    async fn page(
        &self,
        segment: Segment,
        position: Option<&ScanPosition>,
        limit: Option<u32>,
    ) -> Result<ScanPage, AwsError> {
        self.read();
        let (mut state, at) = (self.state(), self.now());
        state.pages += 1;
        let place = |key: &String| u32::from(key.bytes().last().unwrap()) % segment.of == segment.number;
        let after = position.map(|position| position.as_str().to_owned()).unwrap_or_default();
        let of_key = |key: &String| json!({"pk": {"S": key}}).to_string();
        let most = if state.page_items == 0 { usize::MAX } else { state.page_items };
        let most = limit.map_or(most, |limit| most.min(limit.try_into().unwrap()));
        let left: Vec<(&String, &String)> =
            state.items.iter().filter(|(key, _)| place(key) && of_key(key) > after).collect();
        let page = left.get(..most).unwrap_or(&left);
        // As DynamoDB does, a full page goes on even where nothing follows.
        let next =
            page.last().filter(|_| page.len() == most).map(|(key, _)| ScanPosition::parse(&of_key(key)).unwrap());
        let items = page.iter().map(|(_, item)| item.as_str().into()).collect();
        Ok(ScanPage { items, next, at, answered: Instant::now(), read_units: Some(1.0) })
    }
}

#[async_trait]
impl ItemReader for World {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        World::read(self);
        let (state, at) = (self.state(), self.now());
        let found = |key: &Key| {
            let key: Value = serde_json::from_str(key.canonical()).unwrap();
            let item = state.items.get(key["pk"]["S"].as_str().unwrap());
            item.map_or(Found::Absent, |item| Found::Item(item.as_str().into()))
        };
        Ok(keys.iter().map(|key| ItemRead { found: found(key), at, answered: Instant::now() }).collect())
    }
}

fn place(address: &Address) -> Place {
    let routing = address.routing.as_deref().map(str::to_owned);
    (format!("{}-000001", address.index), address.id.as_str().into(), routing)
}

#[async_trait]
impl IndexReader for World {
    async fn get(&self, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, SetupError> {
        let state = self.state();
        let get = |address: &Address| {
            let (version, source) = state.documents.get(&place(address))?;
            Some(StoredDocument { version: *version, source: Bytes::from(source.clone()?) })
        };
        Ok(addresses.iter().map(get).collect())
    }

    async fn held(&self, _table: &str) -> Result<Vec<HeldIndex>, SetupError> {
        let archives = self.state().archives.clone();
        let held = |name: &str| HeldIndex {
            index: IndexName::parse(name).unwrap(),
            concrete: format!("{name}-000001"),
            is_archive: archives.iter().any(|archive| archive == name),
            generation: 1,
            shards: 3,
            has_these_routes: Some(true),
        };
        Ok(std::iter::once("i").chain(archives.iter().map(String::as_str)).map(held).collect())
    }

    async fn count(&self, index: &HeldIndex) -> Result<u64, SetupError> {
        let page = self.begin(index, Slice { number: 0, of: 1 }).await?;
        Ok(page.entries.len().try_into().unwrap())
    }

    async fn refresh(&self, _index: &HeldIndex) -> Result<(), SetupError> {
        Ok(())
    }

    async fn begin(&self, index: &HeldIndex, slice: Slice) -> Result<EntryPage, SetupError> {
        let state = self.state();
        let of_slice = |id: &str| u32::from(id.bytes().last().unwrap()) % slice.of == slice.number;
        let entries = state
            .documents
            .iter()
            .filter(|((concrete, id, _), (_, source))| *concrete == index.concrete && source.is_some() && of_slice(id));
        let entry = |((_, id, routing), (version, _)): (&Place, &(u64, Option<String>))| Entry {
            id: id.clone(),
            routing: routing.as_deref().map(Arc::from),
            version: *version,
        };
        Ok(EntryPage { entries: entries.map(entry).collect(), next: None })
    }

    async fn go_on(&self, _walk: Walk) -> Result<EntryPage, SetupError> {
        unreachable!("a slice has one page")
    }

    async fn sample(&self, index: &HeldIndex, _most: u32) -> Result<Vec<Entry>, SetupError> {
        Ok(self.begin(index, Slice { number: 0, of: 1 }).await?.entries)
    }
}

impl World {
    fn carry_out(&self, body: &Bytes) -> Result<Answer, ClientError> {
        let (mut state, now) = (self.state(), self.now());
        state.requests += 1;
        if now < state.throttled_until {
            return Ok(Answer { status: 429, body: Bytes::new(), retry_after: None });
        }
        let is_answered = !state.unanswered.contains(&state.requests);
        let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut items = Vec::new();
        while let Some(line) = lines.next() {
            let action: Value = serde_json::from_slice(line).unwrap();
            let (verb, meta) = action.as_object().unwrap().iter().next().unwrap();
            let source = (verb == "index").then(|| String::from_utf8(lines.next().unwrap().to_vec()).unwrap());
            let text = |name: &str| meta[name].as_str().map(str::to_owned);
            let place = (text("_index").unwrap(), text("_id").unwrap(), text("routing"));
            let version = meta["version"].as_u64().unwrap();
            let refused =
                |status: u16, kind: &str| json!({verb: {"status": status, "error": {"type": kind, "reason": "x"}}});
            if state.refused.contains(&place.1) && source.is_some() {
                items.push(refused(400, "mapper_parsing_exception"));
            } else if state.documents.get(&place).is_some_and(|(known, _)| *known > version) {
                items.push(refused(409, "version_conflict_engine_exception"));
            } else {
                state.documents.insert(place, (version, source));
                items.push(json!({verb: {"status": 200}}));
            }
        }
        if !is_answered {
            return Err(ClientError::TimedOut { endpoint: "i".into(), after: Duration::ZERO });
        }
        let body = json!({"took": 1, "errors": false, "items": items}).to_string();
        Ok(Answer { status: 200, body: body.into(), retry_after: None })
    }
}

#[async_trait]
impl BulkTransport for World {
    /// Carries it out at once, and answers later.
    async fn bulk(&self, body: Bytes, _encoding: BodyEncoding) -> Result<Answer, ClientError> {
        let (answer, takes) = (self.carry_out(&body), self.state().takes);
        sleep(takes).await;
        answer
    }

    fn refresh_credentials(&self) {}
}

#[async_trait]
impl IndexWatch for World {
    fn restore(&self, _table: &TableArn, _known: Vec<KnownIndex>, _group: GroupState) {}

    fn known(&self) -> Vec<KnownIndex> {
        let (index, concrete, uuid) = ("i".into(), "i-000001".into(), "u1".into());
        vec![KnownIndex { index, concrete, uuid, generation: 1 }]
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        let gone = VanishedIndex {
            index: "i".into(),
            concrete: "i-000001".into(),
            expected_uuid: "u1".into(),
            found_uuid: None,
        };
        Ok(if self.state().vanished { vec![gone] } else { Vec::new() })
    }
}

#[async_trait]
impl IndexSetup for World {
    async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        Ok(self.target(index).unwrap())
    }

    async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
        Ok(self.target(index))
    }

    fn target(&self, index: &IndexName) -> Option<Arc<Target>> {
        Some(Arc::new(Target { concrete: format!("{index}-000001"), uuid: None, generation: 1 }))
    }
}

impl Targets for World {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        Some(format!("{index}-000001").into())
    }
}

#[async_trait]
impl DeadLetterStore for World {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        self.state().letters.extend(letters.iter().map(|letter| (letter.key.clone(), letter.clone())));
        Ok(())
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<bool, LetterError> {
        let mut state = self.state();
        let is_unchanged = state.letters.get(&letter.key) == Some(letter);
        if is_unchanged {
            state.letters.remove(&letter.key);
        }
        Ok(is_unchanged)
    }

    async fn list(&self, _after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        Ok(LetterPage { letters: self.state().letters.values().cloned().collect(), ..LetterPage::default() })
    }

    async fn get(&self, key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        Ok(self.state().letters.get(key).cloned())
    }
}

#[async_trait]
impl BackfillStore for World {
    async fn load(&self) -> Result<Option<BackfillRecord>, StateError> {
        Ok(self.state().record.clone())
    }

    async fn store(&self, record: &BackfillRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        let mut state = self.state();
        if state.record.as_ref().map(|found| found.beat) != follows {
            return Ok(Stored::Refused);
        }
        state.record = Some(record.clone());
        Ok(Stored::Stored)
    }

    async fn note(&self, index: &KnownIndex) -> Result<(), StateError> {
        self.state().noted.insert(index.concrete.clone(), index.uuid.clone());
        Ok(())
    }

    async fn replace(&self, record: &BackfillRecord) -> Result<(), StateError> {
        self.state().record = Some(record.clone());
        Ok(())
    }

    async fn gaps(&self) -> Result<usize, StateError> {
        Ok(self.state().gaps)
    }
}

#[async_trait]
impl Lag for World {
    async fn lag(&self) -> Option<Duration> {
        Some(self.state().lag)
    }
}

impl DifferenceSink for World {
    fn take(&self, difference: &Difference) -> io::Result<()> {
        self.state().differences.push(difference.clone());
        Ok(())
    }
}
