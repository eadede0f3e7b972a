//! The bare loop that streamdex is compared with: it only posts prepared bulk bodies over keep-alive connections.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use opensearch::http::Method;
use opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::transport::Transport;

use crate::bulk_settings::{CANDIDATES, FIRST, Settings};
use crate::child;
use crate::memory::cpu_seconds;
use crate::records::Records;
use crate::search::Bench;

/// What streamdex asks the answer for too. The node writes it for each document.
const ANSWER: &str =
    "took,errors,error,status,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";
/// Documents of a trial of the settings.
const TRIAL: usize = 20_000;

/// The bare loop over the documents that some records make, with the settings that are best today.
pub(crate) struct BareLoop {
    settings: Settings,
    /// Of all bodies.
    pub(crate) bytes: usize,
    documents: u32,
    bodies: Bodies,
}

/// One run of the loop.
pub(crate) struct Posted {
    pub(crate) seconds: f64,
    /// Of this process, in which the loop runs.
    pub(crate) cpu_seconds: f64,
}

/// Bulk lines, two a document.
struct Bodies(Vec<Bytes>);

impl BareLoop {
    /// Has streamdex make the bodies, and looks for the best settings where none were found yet.
    pub(crate) async fn prepare(bench: &Bench, records: &Records) -> anyhow::Result<BareLoop> {
        let path = bench.folder.join("bodies.ndjson");
        let captured = records.path.to_str().context("a path in UTF-8")?;
        child::run(&bench.programs.now, &bench.config, &["map", captured], Some(&path))?;
        let body = Bytes::from(std::fs::read(&path)?);
        let settings = *bench.bare_settings.get_or_try_init(|| best_settings(bench, &body)).await?;
        let bodies = Bodies::cut(&body, settings.documents_a_request, usize::MAX);
        Ok(BareLoop { settings, bytes: body.len(), documents: records.documents, bodies })
    }

    /// Fills a new index.
    pub(crate) async fn run(&self, bench: &Bench) -> anyhow::Result<Posted> {
        bench.fresh_index().await?;
        let before = cpu_seconds("self").context("no /proc")?;
        let seconds = post(&bench.node.url(), &self.bodies, self.settings).await?;
        let cpu_seconds = cpu_seconds("self").context("no /proc")? - before;
        bench.expect_documents(self.documents).await?;
        Ok(Posted { seconds, cpu_seconds })
    }

    /// What it is, for a table.
    pub(crate) fn title(&self) -> String {
        let Settings { connections, documents_a_request } = self.settings;
        format!("bare loop, prepared bodies, {connections} connections, {documents_a_request} documents a request")
    }
}

impl Bodies {
    /// Cuts a bulk body into requests.
    fn cut(body: &Bytes, documents_a_request: usize, most: usize) -> Bodies {
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

/// The settings with which the bare loop is fastest on this machine today.
async fn best_settings(bench: &Bench, body: &Bytes) -> anyhow::Result<Settings> {
    let mut best: Option<(f64, Settings)> = None;
    // The first trial warms the node up and does not count.
    for (trial, settings) in std::iter::once(&FIRST).chain(&CANDIDATES).enumerate() {
        bench.fresh_index().await?;
        let bodies = Bodies::cut(body, settings.documents_a_request, TRIAL);
        let seconds = post(&bench.node.url(), &bodies, *settings).await?;
        if trial > 0 && best.is_none_or(|(fastest, _)| seconds < fastest) {
            best = Some((seconds, *settings));
        }
    }
    best.map(|(_, settings)| settings).context("no trial")
}

/// Posts all of it; seconds.
async fn post(url: &str, bodies: &Bodies, settings: Settings) -> anyhow::Result<f64> {
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
        send(&transport, ANSWER, body).await?;
    }
}

/// Posts one bulk body, of whose answer so much is asked for. Everything in it has to succeed.
pub(crate) async fn send(transport: &Transport, filter_path: &str, body: Bytes) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let query = [("filter_path", filter_path)];
    let answer = transport.send(Method::Post, "/_bulk", headers, Some(&query), Some(body), None).await?;
    let text = answer.text().await.context("no answer")?;
    anyhow::ensure!(text.contains("\"errors\":false"), "the bare loop met an error: {text}");
    Ok(())
}
