//! An index that holds the document of each number, in front of a node that has an empty index of its name.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::numbered::{Bodies, id, number_of_id, plain_key};
use crate::http::{self, Forward};
use crate::server_thread::ServerThread;

const PIT: &str = "pit";
const VERSION: u64 = 1 << 60;

/// A served index; it ends when dropped.
#[derive(Debug)]
pub struct ServedIndex {
    server: ServerThread,
}

#[derive(Debug)]
struct Shared {
    documents: u64,
    bodies: Bodies,
    latency: Duration,
    node: Forward,
}

// === impl ServedIndex ===

impl ServedIndex {
    /// So many documents, and how long each answer takes beside its making. What is not asked about documents goes to the
    /// node at `url`.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn in_front_of(url: &str, documents: u64, bodies: Bodies, latency: Duration) -> Self {
        let shared = Arc::new(Shared { documents, bodies, latency, node: Forward::to(url) });
        let serve = |listener| http::serve(listener, move |request| handle(request, Arc::clone(&shared)));
        Self { server: ServerThread::start(serve).expect("a port for an index") }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let answer = match (&parts.method, parts.uri.path()) {
        (_, "/_mget") => shared.mget(&serde_json::from_slice(&body)?),
        (_, "/_search") => shared.search(&serde_json::from_slice(&body)?),
        (&Method::DELETE, "/_search/point_in_time") => json!({ "pits": [] }).to_string(),
        (_, path) if path.ends_with("/_search/point_in_time") => json!({ "pit_id": PIT }).to_string(),
        _ => return shared.node.send(Request::from_parts(parts, Full::new(body))).await,
    };
    sleep(shared.latency).await;
    let response = Response::builder().header(CONTENT_TYPE, "application/json").body(Full::new(answer.into()));
    response.map_err(io::Error::other)
}

// === impl Shared ===

impl Shared {
    fn mget(&self, call: &Value) -> String {
        let asked = call["docs"].as_array().cloned().unwrap_or_default();
        let documents: Vec<String> = asked.iter().map(|asked| self.document(asked)).collect();
        format!(r#"{{"docs":[{}]}}"#, documents.join(","))
    }

    fn document(&self, asked: &Value) -> String {
        let (index, id) = (&asked["_index"], &asked["_id"]);
        let number = id.as_str().and_then(number_of_id).filter(|number| *number < self.documents);
        let Some(number) = number else { return format!(r#"{{"_index":{index},"_id":{id},"found":false}}"#) };
        let (key, body) = (plain_key(number), self.bodies.of(number));
        format!(r#"{{"_index":{index},"_id":{id},"_version":{VERSION},"found":true,"_source":{{{key},{body}}}}}"#)
    }

    fn search(&self, call: &Value) -> String {
        let first = call["search_after"][0].as_u64().map_or(0, |after| after + 1);
        let end = (first + call["size"].as_u64().unwrap_or(10)).min(self.documents);
        let hit = |number: u64| format!(r#"{{"_id":"{}","_version":{VERSION},"sort":[{number}]}}"#, id(number));
        let hits: Vec<String> = (first..end).map(hit).collect();
        format!(
            r#"{{"pit_id":"{PIT}","timed_out":false,"_shards":{{"total":1,"failed":0}},"hits":{{"total":{{"value":{},"relation":"eq"}},"hits":[{}]}}}}"#,
            self.documents,
            hits.join(",")
        )
    }
}
