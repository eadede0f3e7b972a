//! Bulk requests as one worker sends them to the simulated OpenSearch.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use streamdex_sink::{Answer, BodyEncoding, BulkTransport, ClientError};

use super::gate::{Gate, Lost};
use super::search::{Line, refused};
use super::time::SECOND;
use super::weather::{Endpoint, Refusal};
use super::world::{AUDIT, World};

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
    /// The writer's probe, which changes nothing, has none.
    version: Option<u64>,
    version_type: Option<String>,
}

/// OpenSearch as one worker reaches it.
pub(super) struct SimulatedSearch {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

/// `opensearch.request_timeout`.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// A request that is carried out later than this was given up: whoever has the lease now knows nothing of it.
const LATE: u64 = 5 * SECOND;

#[async_trait]
impl BulkTransport for SimulatedSearch {
    async fn bulk(&self, body: Bytes, encoding: BodyEncoding) -> Result<Answer, ClientError> {
        assert_eq!(encoding, BodyEncoding::Identity, "the simulation reads plain bodies");
        let (world, name) = (Arc::clone(&self.world), self.gate.name.clone());
        let sent = world.time.millis();
        let answer = self.gate.call(Endpoint::Search, REQUEST_TIMEOUT, move |refusal| {
            let is_late = world.time.millis() > sent + LATE;
            serve(&world, (&name, is_late), &body, refusal)
        });
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

fn serve(world: &World, (worker, is_late): (&str, bool), body: &[u8], refusal: Option<Refusal>) -> Answer {
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
        if worker.starts_with(AUDIT) {
            world.check_repair(worker, line);
        } else if line.version > 0 && is_late {
            world.note_late_request();
        } else if line.version > 0 {
            world.check_writer(worker, line);
        }
        items.push(answer);
    }
    let body = format!("{{\"took\":1,\"errors\":false,\"items\":[{}]}}", items.join(","));
    Answer { status: 200, body: body.into(), retry_after: None }
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
        let is_probe = !is_index && meta.version.is_none() && meta.id.starts_with("streamdex-probe-");
        assert!(is_probe || meta.version_type.as_deref() == Some("external_gte"), "{} has no version", meta.id);
        let body = is_index.then(|| serde_json::from_slice(lines.next().unwrap_or_default()).unwrap());
        found.push(Line { index: meta.index, id: meta.id, version: meta.version.unwrap_or_default(), body });
    }
    found
}
