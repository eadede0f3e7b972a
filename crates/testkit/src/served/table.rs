//! DescribeTable, Scan and BatchGetItem of a table of numbered items.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::numbered::{Bodies, key, number};
use crate::http;
use crate::server_thread::ServerThread;
use crate::workload::{EVENT_TIME, PARTITION_KEY, SORT_KEY};

/// At which the service ends a page.
const PAGE_BYTES: usize = 1_048_576;

/// A served table; it ends when dropped.
#[derive(Debug)]
pub struct ServedTable {
    server: ServerThread,
}

#[derive(Debug)]
struct Shared {
    name: String,
    items: u64,
    bodies: Bodies,
    latency: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scan {
    segment: Option<u64>,
    total_segments: Option<u64>,
    limit: Option<u64>,
    exclusive_start_key: Option<Value>,
}

// === impl ServedTable ===

impl ServedTable {
    /// So many items, and how long each answer takes beside its making.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(name: &str, items: u64, bodies: Bodies, latency: Duration) -> Self {
        let shared = Arc::new(Shared { name: name.to_owned(), items, bodies, latency });
        let serve = |listener| http::serve(listener, move |request| handle(request, Arc::clone(&shared)));
        Self { server: ServerThread::start(serve).expect("a port for a table") }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.split_once('.').map_or(target, |(_, operation)| operation).to_owned();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    sleep(shared.latency).await;
    let (status, answer) = match operation.as_str() {
        "DescribeTable" => (200, shared.describe()),
        "Scan" => (200, shared.scan(&serde_json::from_slice(&body)?)),
        "BatchGetItem" => (200, shared.batch_get(&serde_json::from_slice(&body)?)),
        other => (400, json!({ "__type": "UnknownOperationException", "message": other }).to_string()),
    };
    // The server adds the date.
    let response = Response::builder().status(status).header("Content-Type", "application/x-amz-json-1.0");
    response.header("x-amzn-RequestId", "streamdex-testkit").body(Full::new(answer.into())).map_err(io::Error::other)
}

// === impl Shared ===

impl Shared {
    fn describe(&self) -> String {
        let text = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let table = json!({
            "TableName": self.name,
            "TableArn": format!("arn:aws:dynamodb:eu-west-1:000000000000:table/{}", self.name),
            "TableId": "5f0e1c5c-0000-4000-8000-000000000000",
            "TableStatus": "ACTIVE",
            "CreationDateTime": EVENT_TIME,
            "KeySchema": [key(PARTITION_KEY, "HASH"), key(SORT_KEY, "RANGE")],
            "AttributeDefinitions": [text(PARTITION_KEY), text(SORT_KEY)],
            "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
            "ItemCount": self.items,
            "TableSizeBytes": self.items * self.bodies.bytes() as u64,
        });
        json!({ "Table": table }).to_string()
    }

    fn scan(&self, scan: &Scan) -> String {
        let (segment, of) = (scan.segment.unwrap_or_default(), scan.total_segments.unwrap_or(1));
        let bound = |segment: u64| self.items * segment / of;
        let after = scan.exclusive_start_key.as_ref().and_then(|key| number(key[PARTITION_KEY]["S"].as_str()?));
        let (mut next, end) = (after.map_or(bound(segment), |after| after + 1), bound(segment + 1));
        let (mut items, mut count) = (String::with_capacity(PAGE_BYTES + PAGE_BYTES / 8), 0);
        while next < end && items.len() < PAGE_BYTES && scan.limit.is_none_or(|limit| count < limit) {
            if count > 0 {
                items.push(',');
            }
            self.item(next, &mut items);
            (next, count) = (next + 1, count + 1);
        }
        let last = if next < end { format!(r#","LastEvaluatedKey":{{{}}}"#, key(next - 1)) } else { String::new() };
        format!(r#"{{"Count":{count},"ScannedCount":{count},"Items":[{items}]{last}}}"#)
    }

    fn batch_get(&self, call: &Value) -> String {
        let keys = call["RequestItems"][&self.name]["Keys"].as_array().cloned().unwrap_or_default();
        let mut items = String::new();
        let known = keys.iter().filter_map(|key| number(key[PARTITION_KEY]["S"].as_str()?));
        for number in known.filter(|number| *number < self.items) {
            if !items.is_empty() {
                items.push(',');
            }
            self.item(number, &mut items);
        }
        format!(r#"{{"Responses":{{"{}":[{items}]}},"UnprocessedKeys":{{}}}}"#, self.name)
    }

    fn item(&self, number: u64, text: &mut String) {
        text.push('{');
        text.push_str(&key(number));
        text.push(',');
        text.push_str(self.bodies.of(number));
        text.push('}');
    }
}
