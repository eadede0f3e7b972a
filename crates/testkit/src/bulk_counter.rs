//! A search server that reads each bulk body, counts it, and answers every operation at once, so that it never slows a
//! writer down. All other requests go to a real node.
//!
//! ```text
//! program ──▶ BulkCounter ── _bulk ──▶ counted, and answered here
//!                  └─────── the rest ─▶ node
//! ```

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{Request, Response};

use crate::http::{self, Forward};
use crate::server_thread::ServerThread;

const INDEXED: &str = r#"{"index":{"status":201,"result":"created"}}"#;
const DELETED: &str = r#"{"delete":{"status":200,"result":"deleted"}}"#;

/// A running counter; it ends when dropped.
#[derive(Debug)]
pub struct BulkCounter {
    shared: Arc<Shared>,
    server: ServerThread,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Bulk requests.
    pub requests: u64,
    /// Operations in them.
    pub operations: u64,
    /// Bytes of their bodies, decompressed.
    pub bytes: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    node: Forward,
    counted: Mutex<Counted>,
}

// === impl BulkCounter ===

impl BulkCounter {
    /// A counter in front of the node at `url`.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn in_front_of(url: &str) -> Self {
        let shared = Arc::new(Shared { node: Forward::to(url), counted: Mutex::default() });
        let served = Arc::clone(&shared);
        let serve = |listener| http::serve(listener, move |request| handle(request, Arc::clone(&served)));
        Self { shared, server: ServerThread::start(serve).expect("a port for a counter") }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What came so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        *self.shared.counted()
    }

    /// Begins to count from nothing.
    pub fn forget(&self) {
        *self.shared.counted() = Counted::default();
    }
}

// === impl Counted ===

impl Counted {
    /// From the first request to the last.
    #[must_use]
    pub fn took(&self) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) => last.duration_since(first),
            _ => Duration::ZERO,
        }
    }

    fn add(&mut self, operations: u64, bytes: usize) {
        let now = Instant::now();
        self.requests += 1;
        self.operations += operations;
        self.bytes += bytes as u64;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }
}

// === impl Shared ===

impl Shared {
    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let sent = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if !parts.uri.path().ends_with("/_bulk") {
        return shared.node.send(Request::from_parts(parts, Full::new(sent))).await;
    }
    let is_compressed = parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let body = if is_compressed { decompressed(&sent)? } else { sent };
    let (operations, answer) = taken(&body);
    shared.counted().add(operations, body.len());
    let answer = Response::builder().header(CONTENT_TYPE, "application/json").body(Full::new(answer.into()));
    answer.map_err(io::Error::other)
}

/// How many operations a bulk body has, and the answer that all of them succeeded.
fn taken(body: &[u8]) -> (u64, String) {
    let mut answer = String::from(r#"{"took":1,"errors":false,"items":["#);
    let mut operations = 0;
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    while let Some(action) = lines.next() {
        if operations > 0 {
            answer.push(',');
        }
        operations += 1;
        if action.starts_with(br#"{"delete""#) {
            answer.push_str(DELETED);
        } else {
            lines.next();
            answer.push_str(INDEXED);
        }
    }
    answer.push_str("]}");
    (operations, answer)
}

fn decompressed(body: &[u8]) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain)?;
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_answered() {
        let body = "{\"index\":{\"_id\":\"1\"}}\n{\"x\":1}\n{\"delete\":{\"_id\":\"2\"}}\n{\"index\":{}}\n{}\n";
        let (operations, answer) = taken(body.as_bytes());
        assert_eq!(operations, 3);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let items = answer["items"].as_array().unwrap();
        assert_eq!(items.iter().filter(|item| item.get("index").is_some()).count(), 2);
        assert_eq!(items[1]["delete"]["status"], 200);
    }
}
