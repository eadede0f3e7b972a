//! OpenSearch: external versions, tombstones that expire and vanish, and an index that can be lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use streamdex_sink::{Answer, BodyEncoding, BulkTransport, ClientError};

use super::dice::Dice;
use super::gate::{Gate, Lost};
use super::time::HOUR;
use super::weather::{Endpoint, Refusal};
use super::world::World;

/// The cluster.
#[derive(Debug)]
pub(super) struct Search {
    dice: Dice,
    /// Every index that is there, with its UUID.
    pub(super) indices: BTreeMap<String, String>,
    documents: BTreeMap<(String, String), Document>,
    /// Every index that was lost.
    pub(super) lost: Vec<String>,
    created: u32,
    /// Writes make the index that they name, where there is none (`action.auto_create_index`).
    makes_indices: bool,
}

#[derive(Debug)]
struct Document {
    version: u64,
    /// `None`: a tombstone.
    body: Option<Value>,
    changed: u64,
}

/// One operation of a bulk body.
#[derive(Debug)]
struct Line {
    index: String,
    id: String,
    version: u64,
    body: Option<Value>,
}

#[derive(Deserialize)]
struct Action {
    index: Option<Meta>,
    delete: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    version: u64,
    version_type: String,
}

/// OpenSearch as one worker reaches it.
pub(super) struct SimulatedSearch {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

/// `opensearch.request_timeout`.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// `index.gc_deletes` as set-up writes it.
const KEEP_TOMBSTONES: u64 = HOUR;

impl Search {
    pub(super) fn new(seed: u64, makes_indices: bool) -> Search {
        Search {
            dice: Dice::new(seed, "search"),
            indices: BTreeMap::new(),
            documents: BTreeMap::new(),
            lost: Vec::new(),
            created: 0,
            makes_indices,
        }
    }

    /// The UUID of an index that is there now, or is made now.
    pub(super) fn create(&mut self, concrete: &str) -> String {
        if let Some(uuid) = self.indices.get(concrete) {
            return uuid.clone();
        }
        self.created += 1;
        let uuid = format!("uuid-{}", self.created);
        self.indices.insert(concrete.to_owned(), uuid.clone());
        uuid
    }

    /// The documents of all indices.
    pub(super) fn live(&self) -> BTreeMap<(String, String), Value> {
        let live = self.documents.iter().filter_map(|(key, document)| Some((key.clone(), document.body.clone()?)));
        live.collect()
    }

    /// A flush and a restart: tombstones are forgotten.
    pub(super) fn forget_tombstones(&mut self) {
        self.documents.retain(|_, document| document.body.is_some());
    }

    /// Somebody deletes an index.
    pub(super) fn lose(&mut self, which: usize) -> Option<String> {
        let concrete = self.indices.keys().nth(which % self.indices.len().max(1))?.clone();
        self.indices.remove(&concrete);
        self.documents.retain(|(index, _), _| *index != concrete);
        self.lost.push(concrete.clone());
        Some(concrete)
    }

    /// Carries one operation out.
    fn apply(&mut self, line: &Line, now: u64) -> String {
        if !self.indices.contains_key(&line.index) {
            if !self.makes_indices {
                return refused(404, "index_not_found_exception");
            }
            self.create(&line.index);
        }
        let key = (line.index.clone(), line.id.clone());
        let expired = |document: &Document| document.body.is_none() && document.changed + KEEP_TOMBSTONES < now;
        let known = self.documents.get(&key).filter(|document| !expired(document));
        if known.is_some_and(|document| document.version > line.version) {
            return refused(409, "version_conflict_engine_exception");
        }
        let was_live = known.is_some_and(|document| document.body.is_some());
        let answer = match (&line.body, was_live) {
            (Some(_), _) => "{\"index\":{\"status\":201}}",
            (None, true) => "{\"delete\":{\"status\":200}}",
            (None, false) => "{\"delete\":{\"status\":404,\"result\":\"not_found\"}}",
        };
        self.documents.insert(key, Document { version: line.version, body: line.body.clone(), changed: now });
        answer.to_owned()
    }
}

#[async_trait]
impl BulkTransport for SimulatedSearch {
    async fn bulk(&self, body: Bytes, encoding: BodyEncoding) -> Result<Answer, ClientError> {
        assert_eq!(encoding, BodyEncoding::Identity, "the simulation reads plain bodies");
        let (world, name) = (Arc::clone(&self.world), self.gate.name.clone());
        let answer =
            self.gate.call(Endpoint::Search, REQUEST_TIMEOUT, move |refusal| serve(&world, &name, &body, refusal));
        answer.await.map_err(unanswered)
    }

    fn refresh_credentials(&self) {}
}

fn unanswered(lost: Lost) -> ClientError {
    let endpoint = "opensearch:9200".to_owned();
    match lost {
        Lost::NotSent => ClientError::Unreachable { endpoint, reason: "no connection".to_owned() },
        Lost::NoAnswer => ClientError::TimedOut { endpoint, after: REQUEST_TIMEOUT },
    }
}

fn serve(world: &World, worker: &str, body: &[u8], refusal: Option<Refusal>) -> Answer {
    match refusal {
        Some(Refusal::Throttled) => return whole(429, "rejected_execution_exception"),
        Some(Refusal::Failed) => return whole(503, "process_cluster_event_timeout_exception"),
        _ if world.plan.largest_body.is_some_and(|largest| body.len() > largest) => return whole(413, ""),
        _ => {}
    }
    let lines = read_lines(body);
    let now = world.time.millis();
    let mut items = Vec::with_capacity(lines.len());
    for line in &lines {
        let instead = match refusal {
            Some(Refusal::Blocked) => Some(refused(403, "cluster_block_exception")),
            Some(Refusal::SomeItems) if world.search().dice.chance(50) => {
                Some(refused(429, "rejected_execution_exception"))
            }
            _ => None,
        };
        let answer = instead.unwrap_or_else(|| world.search().apply(line, now));
        let what = if line.body.is_some() { "index" } else { "delete" };
        world.trace.note(format_args!("{worker} {what} {}/{} v{}: {answer}", line.index, line.id, line.version));
        world.check_writer(worker, &line.id, line.version);
        items.push(answer);
    }
    let body = format!("{{\"took\":1,\"errors\":false,\"items\":[{}]}}", items.join(","));
    Answer { status: 200, body: body.into(), retry_after: None }
}

fn refused(status: u16, error_type: &str) -> String {
    let mut text = String::new();
    let _ =
        write!(text, "{{\"index\":{{\"status\":{status},\"error\":{{\"type\":\"{error_type}\",\"reason\":\"x\"}}}}}}");
    text
}

fn whole(status: u16, error_type: &str) -> Answer {
    let body = format!("{{\"error\":{{\"type\":\"{error_type}\",\"reason\":\"x\"}},\"status\":{status}}}");
    Answer { status, body: body.into(), retry_after: None }
}

fn read_lines(body: &[u8]) -> Vec<Line> {
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let action: Action = serde_json::from_slice(line).unwrap();
        let is_index = action.index.is_some();
        let meta = action.index.or(action.delete).unwrap();
        assert_eq!(meta.version_type, "external_gte");
        let body = is_index.then(|| serde_json::from_slice(lines.next().unwrap_or_default()).unwrap());
        found.push(Line { index: meta.index, id: meta.id, version: meta.version, body });
    }
    found
}
