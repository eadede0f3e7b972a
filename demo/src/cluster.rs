//! The client of the search engine, and the clean-up of the demo's indices.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use opensearch::http::Method;
use opensearch::http::headers::HeaderMap;
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use serde_json::Value;
use url::Url;

use crate::configuration::{ARCHIVE, INDEX, SECOND_INDEX};

const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// A client for one node.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    transport: Transport,
}

// === impl Cluster ===

impl Cluster {
    pub(crate) fn new(url: &str) -> anyhow::Result<Cluster> {
        let url = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        let pool = SingleNodeConnectionPool::new(url);
        let transport = TransportBuilder::new(pool).timeout(REQUEST_LIMIT).disable_proxy().build()?;
        Ok(Cluster { transport })
    }

    /// Status and text of the answer.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.send(Method::Get, path, None).await
    }

    /// What a search finds.
    pub(crate) async fn search(&self, index: &str, body: Value) -> anyhow::Result<Value> {
        let (status, text) = self.send(Method::Post, &format!("/{index}/_search"), Some(body.to_string())).await?;
        ensure!(status == 200, "searching {index}: status {status}");
        serde_json::from_str(&text).context("reading what a search found")
    }

    /// The number of documents that a query finds.
    pub(crate) async fn count(&self, index: &str, query: Value) -> anyhow::Result<u64> {
        let body = serde_json::json!({ "query": query }).to_string();
        let (status, text) = self.send(Method::Post, &format!("/{index}/_count"), Some(body)).await?;
        ensure!(status == 200, "counting {index}: status {status}");
        let answer: Value = serde_json::from_str(&text).context("reading a count")?;
        answer.pointer("/count").and_then(Value::as_u64).context("an answer without a count")
    }

    /// Writes a document, whatever is there.
    pub(crate) async fn put_document(&self, index: &str, id: &str, document: &Value) -> anyhow::Result<()> {
        let (status, text) = self.send(Method::Put, &document_path(index, id), Some(document.to_string())).await?;
        ensure!(status < 300, "writing a document into {index}: status {status}: {text}");
        Ok(())
    }

    /// Deletes a document that is there.
    pub(crate) async fn delete_document(&self, index: &str, id: &str) -> anyhow::Result<()> {
        let (status, text) = self.send(Method::Delete, &document_path(index, id), None).await?;
        ensure!(status == 200, "deleting a document of {index}: status {status}: {text}");
        Ok(())
    }

    /// Refuses an engine that holds what the demo would write to: it might be somebody's.
    pub(crate) async fn insist_on_room(&self) -> anyhow::Result<()> {
        for name in names() {
            let (status, _) = self.get(&format!("/{name}")).await.context("asking the search engine")?;
            if status != 404 {
                bail!("the search engine has {name} already; give the demo an engine without it");
            }
        }
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> anyhow::Result<(u16, String)> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse()?);
        let answer = self.transport.send(method, path, headers, None::<&()>, body, None).await?;
        Ok((answer.status_code().as_u16(), answer.text().await?))
    }
}

/// What is written there can be searched at once.
fn document_path(index: &str, id: &str) -> String {
    let id = id.replace('|', "%7C").replace('\\', "%5C");
    format!("/{index}/_doc/{id}?refresh=true")
}

fn names() -> [String; 5] {
    let [first, archive] = [INDEX, ARCHIVE].map(|name| format!("{name}-000001"));
    [INDEX.to_owned(), first, SECOND_INDEX.to_owned(), ARCHIVE.to_owned(), archive]
}

/// What is to be removed from an engine that outlives the demo.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    cluster: Option<Cluster>,
}

// === impl Traces ===

impl Traces {
    /// From now on there is something to remove.
    pub(crate) fn left_in(&mut self, cluster: &Cluster) {
        self.cluster = Some(cluster.clone());
    }

    /// Removes the indices, their aliases and their templates.
    pub(crate) async fn remove(self) {
        let Some(cluster) = self.cluster else { return };
        let written = [INDEX, ARCHIVE].iter().flat_map(|name| [format!("/{name}-000001"), template(name)]);
        for path in written.chain([format!("/{SECOND_INDEX}")]) {
            match cluster.send(Method::Delete, &path, None).await {
                Ok((200 | 404, _)) => {}
                Ok((status, _)) => println!("{path} could not be removed: status {status}"),
                Err(error) => println!("{path} could not be removed: {error:#}"),
            }
        }
    }
}

fn template(name: &str) -> String {
    format!("/_index_template/streamdex-{name}")
}
