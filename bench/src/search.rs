//! The search node, the captured records and the configuration that all runs share.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use opensearch::OpenSearch;
use opensearch::http::transport::Transport;
use opensearch::indices::IndicesDeleteParts;
use serde_json::Value;
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode, target_folder};
use streamdex_testkit::workload::{EVENT_TIME, Sessions, StreamRecord};

use crate::child;

/// What the runs share.
pub(crate) struct Bench {
    pub(crate) documents: u32,
    pub(crate) folder: PathBuf,
    /// One stream record a line, new images of about 1 KB.
    pub(crate) records: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) node: SearchNode,
    client: OpenSearch,
}

/// The index that all of them write to.
pub(crate) const INDEX: &str = "sessions-000001";

impl Bench {
    pub(crate) async fn start(documents: u32) -> anyhow::Result<Bench> {
        let folder = target_folder().join("bench");
        std::fs::create_dir_all(&folder)?;
        let records = folder.join("records.ndjson");
        write_records(&records, documents)?;
        let options = NodeOptions::default().heap_megabytes(1024);
        let node = SearchNode::start(SearchEngine::OpenSearch3, options).await?;
        let config = folder.join("streamdex.toml");
        std::fs::write(&config, config_text(&node.url(), None, "sessions"))?;
        let client = OpenSearch::new(Transport::single_node(&node.url())?);
        Ok(Bench { documents, folder, records, config, node, client })
    }

    /// An empty index, set up by streamdex.
    pub(crate) async fn fresh_index(&self) -> anyhow::Result<()> {
        let parts = IndicesDeleteParts::Index(&[INDEX]);
        self.client.indices().delete(parts).ignore_unavailable(true).send().await?;
        child::run(&self.config, &["index", "apply"], None)?;
        Ok(())
    }

    /// Checks that every document has arrived.
    pub(crate) async fn expect_documents(&self) -> anyhow::Result<()> {
        use opensearch::CountParts;
        use opensearch::indices::IndicesRefreshParts;
        self.client.indices().refresh(IndicesRefreshParts::Index(&[INDEX])).send().await?;
        let answer = self.client.count(CountParts::Index(&[INDEX])).send().await?;
        let count = answer.json::<Value>().await?.get("count").and_then(Value::as_u64).context("no count")?;
        anyhow::ensure!(count == u64::from(self.documents), "{count} documents of {}", self.documents);
        Ok(())
    }
}

/// The configuration of all runs. Loopback gains nothing from compression, and the bare loop has none either.
pub(crate) fn config_text(url: &str, endpoint: Option<&str>, index: &str) -> String {
    let endpoint = endpoint.map_or_else(String::new, |endpoint| format!("endpoint_url = \"{endpoint}\"\n"));
    format!(
        "[source]\ntable = \"sessions\"\nregion = \"eu-west-1\"\n{endpoint}\n[opensearch]\nurl = \"{url}\"\ncompression = \"none\"\n\n[[route]]\nindex = \"{index}\"\n"
    )
}

fn write_records(path: &Path, count: u32) -> anyhow::Result<()> {
    let mut sessions = Sessions::new(7, EVENT_TIME);
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for number in 0..count {
        let record = StreamRecord {
            event_name: "INSERT",
            seconds: EVENT_TIME + u64::from(number) / 1000,
            position: 1_000_000 + u64::from(number),
            old: None,
            new: Some(sessions.item(Sessions::key_of(number % 5000, number))),
        };
        writeln!(file, "{}", record.to_json())?;
    }
    file.flush()?;
    Ok(())
}
