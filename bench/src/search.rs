//! The search node and the configuration that all runs share.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use opensearch::http::transport::Transport;
use opensearch::indices::{IndicesDeleteParts, IndicesRefreshParts};
use opensearch::{CountParts, GetParts, OpenSearch, SearchParts};
use serde_json::{Value, json};
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode, target_folder};
use streamdex_testkit::streams::ServedStream;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::bulk_settings::Settings;
use crate::child;
use crate::program::{Program, Programs};

/// What the runs share.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) folder: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) node: SearchNode,
    /// The table, which index set-up asks for its keys.
    pub(crate) table: ServedStream,
    /// The bare loop's best settings, once they were looked for.
    pub(crate) bare_settings: OnceCell<Settings>,
    client: OpenSearch,
}

/// Looks for single documents.
#[derive(Clone)]
pub(crate) struct Reader(OpenSearch);

/// The index that all of them write to.
pub(crate) const INDEX: &str = "sessions-000001";

const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Bench {
    pub(crate) async fn start(programs: Programs) -> anyhow::Result<Bench> {
        let folder = target_folder().join("bench");
        std::fs::create_dir_all(&folder)?;
        let options = NodeOptions::default().heap_megabytes(2048);
        let node = SearchNode::start(SearchEngine::OpenSearch3, options).await?;
        let config = folder.join("streamdex.toml");
        let table = ServedStream::start("sessions");
        std::fs::write(&config, config_text(&node.url(), &table.endpoint_url(), "sessions"))?;
        let client = OpenSearch::new(Transport::single_node(&node.url())?);
        Ok(Bench { programs, folder, config, node, table, bare_settings: OnceCell::new(), client })
    }

    /// An empty index, set up by streamdex.
    pub(crate) async fn fresh_index(&self) -> anyhow::Result<()> {
        self.fresh_index_of(&self.programs.now).await
    }

    /// An empty index, set up by the program that is to write to it.
    pub(crate) async fn fresh_index_of(&self, program: &Program) -> anyhow::Result<()> {
        let parts = IndicesDeleteParts::Index(&[INDEX]);
        self.client.indices().delete(parts).ignore_unavailable(true).send().await?;
        child::run(program, &self.config, &["index", "apply"], None)?;
        Ok(())
    }

    /// Checks that every document has arrived.
    pub(crate) async fn expect_documents(&self, documents: u32) -> anyhow::Result<()> {
        let count = self.count().await?;
        anyhow::ensure!(count == u64::from(documents), "{count} documents of {documents}");
        Ok(())
    }

    /// Waits until every document has arrived.
    pub(crate) async fn wait_for_documents(&self, documents: u32, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.count().await? >= u64::from(documents) {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        self.expect_documents(documents).await
    }

    /// A reader of single documents.
    pub(crate) fn reader(&self) -> Reader {
        Reader(self.client.clone())
    }

    async fn count(&self) -> anyhow::Result<u64> {
        self.client.indices().refresh(IndicesRefreshParts::Index(&[INDEX])).send().await?;
        let answer = self.client.count(CountParts::Index(&[INDEX])).send().await?;
        answer.json::<Value>().await?.get("count").and_then(Value::as_u64).context("no count")
    }
}

impl Reader {
    /// Whether a document can be read; nothing is refreshed for it.
    pub(crate) async fn has(&self, id: &str) -> anyhow::Result<bool> {
        let answer = self.0.get(GetParts::IndexId(INDEX, id))._source(&["false"]).send().await?;
        match answer.status_code().as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            status => anyhow::bail!("a GET was answered with {status}: {}", answer.text().await?),
        }
    }

    /// Whether a search finds it: what was refreshed by the index itself.
    pub(crate) async fn finds(&self, id: &str) -> anyhow::Result<bool> {
        let query = json!({ "query": { "ids": { "values": [id] } } });
        let answer = self.0.search(SearchParts::Index(&[INDEX])).size(0).body(query).send().await?;
        let answer: Value = answer.json().await?;
        let found = answer.pointer("/hits/total/value").and_then(Value::as_u64);
        Ok(found.with_context(|| format!("a search was answered with {answer}"))? > 0)
    }
}

/// The configuration of what is compared with the bare loop. Loopback gains nothing from compression, and the bare
/// loop has none either.
pub(crate) fn config_text(url: &str, endpoint: &str, index: &str) -> String {
    format!(
        "[source]\ntable = \"sessions\"\nregion = \"eu-west-1\"\nendpoint_url = \"{endpoint}\"\n\n[opensearch]\nurl = \"{url}\"\ncompression = \"none\"\n\n[[route]]\nindex = \"{index}\"\n"
    )
}
