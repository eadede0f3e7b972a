//! A model of OpenSearch: external versions, tombstones, and faults that tests switch on.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::Read as _;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Answer, BodyEncoding, ClientError};
use crate::writer::BulkTransport;
use crate::writer::probe::PROBE_ID;

/// Each of these in a document's id causes its own fault.
pub(super) const POISON: &str = "poison";
pub(super) const UNMAPPABLE: &str = "unmappable";
/// As `UNMAPPABLE`, and the refusal names a field.
pub(super) const MISTYPED: &str = "mistyped";
/// The mapping has no room for its fields.
pub(super) const WIDE: &str = "wide";
/// Answered 500 with a type of a defect.
pub(super) const CRASHING: &str = "crashing";
/// The whole request is answered 500 with such a type.
pub(super) const DEFECT: &str = "defect";
/// Answered 503 for its shard.
pub(super) const SHARDLESS: &str = "shardless";
/// A firewall answers 403 for the whole request.
pub(super) const INJECTION: &str = "injection";
/// Documents that only ever get newer versions, so that they must arrive in that order.
pub(super) const ORDERED: &str = "ordered";

#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The whole request is answered so, and not carried out.
    Whole(u16, &'static str, Option<Duration>),
    /// Answered only after this long.
    Slow(Duration),
    /// Not carried out, and no answer.
    LostBefore,
    /// Carried out, and no answer.
    LostAfter,
    /// Carried out, and an answer with one item too few.
    WrongCount,
    /// Carried out, and no bulk answer.
    Garbage,
    Unreachable,
    /// The transport panics.
    Panic,
    /// These items, by position, are answered so; the others are carried out.
    Items(Vec<usize>, u16, &'static str),
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// `(version, live)`: a tombstone keeps its version.
    pub(super) documents: HashMap<(String, String), (u64, bool)>,
    /// For the next requests, one each.
    pub(super) faults: VecDeque<Fault>,
    /// Drawn for each request that `faults` has none for.
    pub(super) chance: Option<fastrand::Rng>,
    pub(super) blocked: HashSet<String>,
    pub(super) missing: HashSet<String>,
    /// They take deletes, and refuse every index operation without naming a field.
    pub(super) no_pipeline: HashSet<String>,
    /// They refuse deletes too.
    pub(super) no_write_index: HashSet<String>,
    /// Every request with an index operation of theirs breaks whole: no node runs their pipeline.
    pub(super) no_ingest: HashSet<String>,
    /// Their shards are not available: after the server's own timeout, 503.
    pub(super) red: HashSet<String>,
    /// Requests with operations of these are never answered.
    pub(super) silent: HashSet<String>,
    /// Of the server, and of the client.
    pub(super) timeouts: (Duration, Duration),
    pub(super) largest: Option<usize>,
    pub(super) refuses_gzip: bool,
    pub(super) refuses_all: bool,
    /// Probes of `_bulk` get no answer.
    pub(super) loses_probes: bool,
    pub(super) refuse_credentials: bool,
    pub(super) refreshed: usize,
    /// Requests that came uncompressed.
    pub(super) plain: usize,
    pub(super) unreachable: bool,
    /// The sizes of all requests, in operations.
    pub(super) requests: Vec<usize>,
    /// Versions in the order in which they arrived, by document.
    pub(super) arrivals: BTreeMap<(String, String), Vec<u64>>,
    pub(super) documents_seen: HashMap<String, usize>,
    under_way: HashSet<(String, String)>,
    pub(super) most_in_flight: usize,
    in_flight: usize,
}

#[derive(Debug, Default)]
pub(super) struct World(Mutex<State>);

struct Line {
    key: (String, String),
    version: u64,
    is_index: bool,
}

impl World {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.with(|state| state.faults.push_back(fault));
    }

    pub(super) fn live(&self) -> usize {
        self.with(|state| state.documents.values().filter(|(_, live)| *live).count())
    }

    pub(super) fn requests(&self) -> Vec<usize> {
        self.with(|state| state.requests.clone())
    }
}

#[async_trait]
impl BulkTransport for World {
    async fn bulk(&self, body: Bytes, encoding: BodyEncoding) -> Result<Answer, ClientError> {
        let lines = read_lines(&decoded(&body, encoding));
        let fault = self.with(|state| {
            state.plain += usize::from(encoding == BodyEncoding::Identity);
            state.arrive(&lines)
        });
        let pause = match &fault {
            Some(Fault::Slow(time)) => *time,
            _ => self.with(|state| state.takes(&lines)),
        };
        tokio::time::sleep(pause).await;
        self.with(|state| {
            let answer = match state.is_silent(&lines) {
                true => Err(ClientError::TimedOut { endpoint: "model".into(), after: state.timeouts.1 }),
                false => state.answer(&lines, body.len(), encoding, fault),
            };
            state.leave(&lines);
            answer
        })
    }

    fn refresh_credentials(&self) {
        self.with(|state| state.refreshed += 1);
    }
}

fn decoded(body: &Bytes, encoding: BodyEncoding) -> Vec<u8> {
    if encoding == BodyEncoding::Identity {
        return body.to_vec();
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    plain
}

fn read_lines(body: &[u8]) -> Vec<Line> {
    assert_eq!(body.last(), Some(&b'\n'), "a bulk body ends in a line break");
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let action: Value = serde_json::from_slice(line).unwrap();
        let is_index = action.get("index").is_some();
        let fields = action.get("index").or(action.get("delete")).unwrap();
        let probe = fields["_id"].as_str().is_some_and(|id| id.starts_with(PROBE_ID));
        assert!(probe || fields["version_type"] == "external_gte", "{fields}");
        let text = |name: &str| fields[name].as_str().unwrap().to_owned();
        found.push(Line {
            key: (text("_index"), text("_id")),
            version: fields["version"].as_u64().unwrap_or_default(),
            is_index,
        });
        if is_index {
            serde_json::from_slice::<Value>(lines.next().unwrap()).unwrap();
        }
    }
    found
}

impl State {
    fn arrive(&mut self, lines: &[Line]) -> Option<Fault> {
        self.requests.push(lines.len());
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        for line in lines {
            assert!(self.under_way.insert(line.key.clone()), "two operations on {:?} are in flight", line.key);
            let versions = self.arrivals.entry(line.key.clone()).or_default();
            let in_order = versions.last().is_none_or(|last| *last <= line.version);
            assert!(in_order || !line.key.1.starts_with(ORDERED), "order of {:?} is inverted", line.key);
            versions.push(line.version);
            *self.documents_seen.entry(line.key.1.clone()).or_default() += 1;
        }
        self.faults.pop_front().or_else(|| self.chance.as_mut().and_then(|random| draw(random, lines.len())))
    }

    fn takes(&self, lines: &[Line]) -> Duration {
        let waits = |line: &Line| self.red.contains(&line.key.0) || line.key.1.contains(SHARDLESS);
        if self.is_silent(lines) {
            self.timeouts.1
        } else if lines.iter().any(waits) {
            self.timeouts.0
        } else {
            Duration::from_millis(20)
        }
    }

    fn is_silent(&self, lines: &[Line]) -> bool {
        lines.iter().any(|line| self.silent.contains(&line.key.0))
    }

    fn leave(&mut self, lines: &[Line]) {
        self.in_flight -= 1;
        for line in lines {
            self.under_way.remove(&line.key);
        }
    }

    fn answer(
        &mut self,
        lines: &[Line],
        bytes: usize,
        encoding: BodyEncoding,
        fault: Option<Fault>,
    ) -> Result<Answer, ClientError> {
        if self.unreachable || matches!(fault, Some(Fault::Unreachable)) {
            return Err(ClientError::Unreachable { endpoint: "model".into(), reason: "refused".into() });
        }
        if self.loses_probes && lines.iter().any(|line| line.key.1.starts_with(PROBE_ID)) {
            return Err(ClientError::Interrupted { endpoint: "model".into(), reason: "reset".into() });
        }
        if self.refuse_credentials {
            return Ok(whole(401, "security_exception", None));
        }
        if self.refuses_all || (self.refuses_gzip && encoding == BodyEncoding::Gzip) {
            return Ok(whole(400, "illegal_argument_exception", None));
        }
        if self.largest.is_some_and(|largest| bytes > largest) {
            return Ok(Answer { status: 413, body: Bytes::from_static(b"<html>too large"), retry_after: None });
        }
        if lines.iter().any(|line| line.key.1.contains(INJECTION)) {
            return Ok(Answer { status: 403, body: Bytes::from_static(b"<html>blocked"), retry_after: None });
        }
        let breaks = |line: &Line| line.is_index && self.no_ingest.contains(&line.key.0) || line.key.1.contains(DEFECT);
        if lines.iter().any(breaks) {
            return Ok(whole(500, "illegal_state_exception", None));
        }
        if lines.iter().any(|line| line.key.1.contains(POISON)) {
            return Ok(whole(400, "illegal_argument_exception", None));
        }
        let lost = ClientError::Interrupted { endpoint: "model".into(), reason: "reset".into() };
        match fault {
            Some(Fault::Whole(status, error_type, retry_after)) => return Ok(whole(status, error_type, retry_after)),
            Some(Fault::LostBefore) => return Err(lost),
            Some(Fault::Panic) => panic!("made up by the test"),
            _ => {}
        }
        let mut items: Vec<Value> = Vec::new();
        for (position, line) in lines.iter().enumerate() {
            items.push(match &fault {
                Some(Fault::Items(positions, status, error_type)) if positions.contains(&position) => {
                    error(*status, error_type)
                }
                _ => self.apply(line),
            });
        }
        match fault {
            Some(Fault::LostAfter) => return Err(lost),
            Some(Fault::Garbage) => {
                return Ok(Answer { status: 200, body: Bytes::from_static(b"<html>hello"), retry_after: None });
            }
            Some(Fault::WrongCount) => drop(items.pop()),
            _ => {}
        }
        let body = serde_json::to_vec(&json!({"took": 1, "errors": false, "items": items})).unwrap();
        Ok(Answer { status: 200, body: body.into(), retry_after: None })
    }

    fn apply(&mut self, line: &Line) -> Value {
        if self.missing.contains(&line.key.0) {
            return error(404, "index_not_found_exception");
        }
        if self.blocked.contains(&line.key.0) {
            return error(403, "cluster_block_exception");
        }
        if self.red.contains(&line.key.0) || line.key.1.contains(SHARDLESS) {
            return error(503, "unavailable_shards_exception");
        }
        if line.key.1.contains(CRASHING) {
            return error(500, "null_pointer_exception");
        }
        if self.no_write_index.contains(&line.key.0) || (line.is_index && self.no_pipeline.contains(&line.key.0)) {
            return error(400, "illegal_argument_exception");
        }
        if line.is_index && line.key.1.contains(MISTYPED) {
            let reason = "failed to parse field [age] of type [long] in document";
            return json!({"index": {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": reason}}});
        }
        if line.is_index && line.key.1.contains(WIDE) {
            let reason = "Limit of total fields [1000] has been exceeded while adding new fields [1]";
            return json!({"index": {"status": 400, "error": {"type": "illegal_argument_exception", "reason": reason}}});
        }
        if line.key.1.contains(UNMAPPABLE) {
            return error(400, "mapper_parsing_exception");
        }
        let known = self.documents.get(&line.key).copied();
        if known.is_some_and(|(version, _)| version > line.version) {
            return error(409, "version_conflict_engine_exception");
        }
        self.documents.insert(line.key.clone(), (line.version, line.is_index));
        if line.is_index {
            json!({"index": {"status": 201}})
        } else if known.is_some_and(|(_, live)| live) {
            json!({"delete": {"status": 200}})
        } else {
            json!({"delete": {"status": 404, "result": "not_found"}})
        }
    }
}

fn draw(random: &mut fastrand::Rng, operations: usize) -> Option<Fault> {
    let positions: Vec<usize> = (0..operations).filter(|_| random.u8(..4) == 0).collect();
    match random.u8(..40) {
        0 => Some(Fault::Whole(503, "", None)),
        1 => Some(Fault::Whole(429, "rejected_execution_exception", Some(Duration::from_secs(1)))),
        2 => Some(Fault::Slow(Duration::from_millis(random.u64(..5000)))),
        3 => Some(Fault::LostBefore),
        4 => Some(Fault::LostAfter),
        5 => Some(Fault::WrongCount),
        6 => Some(Fault::Garbage),
        7 => Some(Fault::Unreachable),
        8 => Some(Fault::Items(positions, 429, "rejected_execution_exception")),
        9 => Some(Fault::Items(positions, 503, "unavailable_shards_exception")),
        10 => Some(Fault::Items(positions, 429, "circuit_breaking_exception")),
        11 => Some(Fault::Items(positions, 403, "cluster_block_exception")),
        12 => Some(Fault::Whole(401, "security_exception", None)),
        _ => None,
    }
}

fn whole(status: u16, error_type: &str, retry_after: Option<Duration>) -> Answer {
    let body = if error_type.is_empty() {
        json!("<html>")
    } else {
        json!({"error": {"type": error_type, "reason": "S3CRET"}})
    };
    Answer { status, body: serde_json::to_vec(&body).unwrap().into(), retry_after }
}

fn error(status: u16, error_type: &str) -> Value {
    json!({"index": {"status": status, "error": {"type": error_type, "reason": "S3CRET"}}})
}
