//! The table and the indices, as whoever reads all of them reaches them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use streamdex_dynamodb::scan::{ScanPage, ScanPosition, ScanSource, Segment};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{Address, IndexName};
use streamdex_sink::read::{Entry, EntryPage, HeldIndex, IndexReader, Slice, StoredDocument, Walk};
use streamdex_sink::{ClientError, SetupError};
use tokio::time::Instant;

use crate::simulation::dice::hash;
use crate::simulation::gate::Gate;
use crate::simulation::table::KEY;
use crate::simulation::weather::{Endpoint, Refusal};
use crate::simulation::world::World;

/// The table.
pub(super) struct SimulatedScan {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

/// The indices.
pub(super) struct SimulatedReader {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

const OPERATION: &str = "Scan";
const DEADLINE: Duration = Duration::from_secs(30);
/// A page of a segment has so many items.
const PAGE: usize = 3;

#[async_trait]
impl ScanSource for SimulatedScan {
    async fn page(
        &self,
        segment: Segment,
        position: Option<&ScanPosition>,
        _limit: Option<u32>,
    ) -> Result<ScanPage, AwsError> {
        let (world, after) = (Arc::clone(&self.world), position.and_then(key_of));
        let answer = self.gate.call(Endpoint::Items, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => Err(AwsError::new(Fault::Throttled, OPERATION)),
            Some(_) => Err(AwsError::new(Fault::Transient, OPERATION)),
            None => Ok(page(&world, segment, after)),
        });
        answer.await.unwrap_or_else(|_| Err(AwsError::new(Fault::Transient, OPERATION)))
    }
}

fn page(world: &World, segment: Segment, after: Option<String>) -> ScanPage {
    let (table, at) = (world.table(), world.time.seconds());
    let of_segment = |key: &String| hash(0, key) % u64::from(segment.of) == u64::from(segment.number);
    let rest = table.items.iter().filter(|(key, _)| of_segment(key) && after.as_ref().is_none_or(|after| *key > after));
    let mut items: Vec<_> = rest.take(PAGE + 1).collect();
    let next = (items.len() > PAGE).then(|| {
        items.truncate(PAGE);
        position_of(items[PAGE - 1].0)
    });
    let items = items.into_iter().map(|(key, item)| item.json(key).to_string().into()).collect();
    ScanPage { items, next, at, answered: Instant::now(), read_units: Some(0.5) }
}

fn position_of(key: &str) -> ScanPosition {
    ScanPosition::parse(&json!({KEY: {"S": key}}).to_string()).unwrap()
}

fn key_of(position: &ScanPosition) -> Option<String> {
    let key: Value = serde_json::from_str(position.as_str()).unwrap();
    Some(key[KEY]["S"].as_str()?.to_owned())
}

impl SimulatedReader {
    async fn call<T: Send + 'static>(&self, serve: impl FnOnce(&World) -> T + Send + 'static) -> Result<T, SetupError> {
        let world = Arc::clone(&self.world);
        let refused = |status| {
            let (action, kind, reason) = ("read".to_owned(), String::new(), "busy".to_owned());
            Err(SetupError::Refused { action, status, kind, reason })
        };
        let answer = self.gate.call(Endpoint::Search, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => refused(429),
            Some(Refusal::Failed) => refused(503),
            Some(Refusal::SomeItems) => {
                Err(SetupError::Unexpected { action: "read".to_owned(), status: 200, what: "a page of HTML or XML" })
            }
            _ => Ok(serve(&world)),
        });
        let endpoint = "opensearch:9200".to_owned();
        answer.await.unwrap_or(Err(SetupError::Client(ClientError::TimedOut { endpoint, after: DEADLINE })))
    }
}

#[async_trait]
impl IndexReader for SimulatedReader {
    async fn get(&self, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, SetupError> {
        let addresses = addresses.to_vec();
        self.call(move |world| {
            let search = world.search();
            let stored =
                |(version, body): (u64, Value)| StoredDocument { version, source: Bytes::from(body.to_string()) };
            let get = |address: &Address| search.document(&concrete(&address.index), address.id.as_str()).map(stored);
            addresses.iter().map(get).collect()
        })
        .await
    }

    async fn held(&self, _table: &str) -> Result<Vec<HeldIndex>, SetupError> {
        self.call(|world| {
            let held = |name: &String| HeldIndex {
                index: IndexName::parse(name.trim_end_matches("-000001")).unwrap(),
                concrete: name.clone(),
                is_archive: false,
                generation: 1,
                shards: 1,
                has_these_routes: Some(true),
            };
            world.search().indices.keys().map(held).collect()
        })
        .await
    }

    async fn count(&self, index: &HeldIndex) -> Result<u64, SetupError> {
        let name = index.concrete.clone();
        self.call(move |world| u64::try_from(world.search().ids(&name).len()).unwrap_or_default()).await
    }

    async fn refresh(&self, _index: &HeldIndex) -> Result<(), SetupError> {
        self.call(|_| ()).await
    }

    async fn begin(&self, index: &HeldIndex, _slice: Slice) -> Result<EntryPage, SetupError> {
        let name = index.concrete.clone();
        self.call(move |world| {
            let entry = |(id, version)| Entry { id, routing: None, version };
            EntryPage { entries: world.search().ids(&name).into_iter().map(entry).collect(), next: None }
        })
        .await
    }

    async fn go_on(&self, _walk: Walk) -> Result<EntryPage, SetupError> {
        unreachable!("all documents are on the first page")
    }

    async fn sample(&self, index: &HeldIndex, _most: u32) -> Result<Vec<Entry>, SetupError> {
        Ok(self.begin(index, Slice { number: 0, of: 1 }).await?.entries)
    }
}

fn concrete(index: &IndexName) -> String {
    format!("{index}-000001")
}
