//! What `streamdex run` follows: a stream out of memory, and an emulator for its state.

use std::path::PathBuf;
use std::time::SystemTime;

use streamdex_testkit::engines::Dynoxide;
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::streams::{NewShard, ServedStream};

use crate::search::Bench;

/// The table's name.
const TABLE: &str = "sessions";

/// Whether request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// As streamdex does it where nobody says otherwise.
    Default,
    /// Not, as in the bare loop.
    None,
}

/// A stream with open shards, and the emulator that holds the state table.
pub(crate) struct Source {
    pub(crate) stream: ServedStream,
    state: Dynoxide,
    shards: Vec<String>,
}

impl Source {
    /// A stream with that many shards, and no records.
    pub(crate) fn start(shards: usize) -> anyhow::Result<Source> {
        let stream = ServedStream::start(TABLE);
        // The service's form: the time of the shard's beginning, and what tells siblings apart.
        let shards: Vec<String> =
            (0..shards).map(|number| format!("shardId-00000001750000000000-{number:08x}")).collect();
        for shard in &shards {
            stream.open_shard(NewShard::root(shard));
        }
        Ok(Source { stream, state: Dynoxide::start()?, shards })
    }

    /// The shard that takes the `number`-th record: each in turn.
    pub(crate) fn shard(&self, number: usize) -> &str {
        self.shards.get(number % self.shards.len().max(1)).map_or("", String::as_str)
    }

    /// The shards.
    pub(crate) fn shards(&self) -> &[String] {
        &self.shards
    }

    /// A configuration for following it in its own group.
    pub(crate) fn config(&self, bench: &Bench, group: &str, compression: Compression) -> anyhow::Result<PathBuf> {
        self.config_with_state(bench, group, compression, &self.state.endpoint_url())
    }

    /// A configuration for following it with the state table behind a server that counts.
    pub(crate) fn config_counted(&self, bench: &Bench, group: &str) -> anyhow::Result<(PathBuf, FaultServer)> {
        let counting = FaultServer::in_front_of(&self.state.endpoint_url());
        let config = self.config_with_state(bench, group, Compression::Default, &counting.url())?;
        Ok((config, counting))
    }

    fn config_with_state(
        &self,
        bench: &Bench,
        group: &str,
        compression: Compression,
        state: &str,
    ) -> anyhow::Result<PathBuf> {
        let compression = match compression {
            Compression::Default => "",
            Compression::None => "compression = \"none\"\n",
        };
        let text = format!(
            "[source]\ntable = \"{TABLE}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{stream}\"\n\n\
             [opensearch]\nurl = \"{url}\"\n{compression}\n\
             [state]\nendpoint_url = \"{state}\"\ngroup = \"{group}\"\n\n\
             [[route]]\nindex = \"sessions\"\n",
            stream = self.stream.endpoint_url(),
            url = bench.node.url(),
        );
        let path = bench.folder.join(format!("{group}.toml"));
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

/// The time, in seconds since 1970.
pub(crate) fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}
