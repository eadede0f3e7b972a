//! The bare loop: prepared bulk bodies posted over keep-alive connections, and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use opensearch::http::Method;
use opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::transport::Transport;

/// How the loop posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    pub(crate) documents_a_request: usize,
}

/// Where the search begins.
pub(crate) const FIRST: Settings = Settings { connections: 1, documents_a_request: 1000 };

/// What is tried to find the loop's best settings.
pub(crate) const CANDIDATES: [Settings; 6] = [
    FIRST,
    Settings { connections: 1, documents_a_request: 4000 },
    Settings { connections: 2, documents_a_request: 1000 },
    Settings { connections: 2, documents_a_request: 2000 },
    Settings { connections: 4, documents_a_request: 1000 },
    Settings { connections: 4, documents_a_request: 2000 },
];

/// Bulk lines, two a document.
pub(crate) struct Bodies(Vec<Bytes>);

impl Bodies {
    /// Cuts a bulk body into requests.
    pub(crate) fn cut(body: &Bytes, documents_a_request: usize, most: usize) -> Bodies {
        let ends = body.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let ends: Vec<usize> = ends.skip(1).step_by(2).take(most).collect();
        let mut requests = Vec::new();
        let mut start = 0;
        for chunk in ends.chunks(documents_a_request) {
            let end = chunk.last().copied().unwrap_or(start);
            requests.push(body.slice(start..end));
            start = end;
        }
        Bodies(requests)
    }
}

/// Posts all of it; seconds.
pub(crate) async fn post(url: &str, bodies: &Bodies, settings: Settings) -> anyhow::Result<f64> {
    let queue: Arc<Mutex<VecDeque<Bytes>>> = Arc::new(Mutex::new(bodies.0.iter().cloned().collect()));
    let started = Instant::now();
    let loops: Vec<_> = (0..settings.connections)
        .map(|_| {
            let queue = Arc::clone(&queue);
            let url = url.to_owned();
            tokio::spawn(async move { work_off(&url, &queue).await })
        })
        .collect();
    for one in loops {
        one.await??;
    }
    Ok(started.elapsed().as_secs_f64())
}

async fn work_off(url: &str, queue: &Mutex<VecDeque<Bytes>>) -> anyhow::Result<()> {
    let transport = Transport::single_node(url)?;
    loop {
        let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
        let Some(body) = next else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let query = [("filter_path", "errors")];
        let answer = transport.send(Method::Post, "/_bulk", headers, Some(&query), Some(body), None).await?;
        let text = answer.text().await.context("no answer")?;
        anyhow::ensure!(text.contains("\"errors\":false"), "the bare loop met an error: {text}");
    }
}
