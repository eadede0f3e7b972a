//! What `streamdex run` follows: a stream out of memory, and an emulator for its state.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use streamdex_testkit::engines::Dynoxide;
use streamdex_testkit::streams::{NewShard, ServedStream};

use crate::child;
use crate::program::Program;
use crate::records::inserts;
use crate::search::Bench;

/// The table's name.
const TABLE: &str = "sessions";

/// How a configuration differs from the plainest one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    /// Lines of `[source]`.
    pub(crate) source: &'a str,
    /// Lines of `[opensearch]`.
    pub(crate) opensearch: &'a str,
    /// Lines of the route.
    pub(crate) route: &'a str,
    /// The URL of OpenSearch, where it is not the node's own.
    pub(crate) search_url: Option<&'a str>,
    /// The URL of the state table, where it is not the emulator's own.
    pub(crate) state_url: Option<&'a str>,
}

/// Request bodies are not compressed, as in the bare loop.
pub(crate) const PLAIN: Options<'static> =
    Options { source: "", opensearch: "compression = \"none\"\n", route: "", search_url: None, state_url: None };

/// A stream with open shards, and the emulator that holds the state table.
pub(crate) struct Source {
    pub(crate) stream: ServedStream,
    state: Dynoxide,
    shards: Vec<String>,
    limits: Limits,
}

/// Whose limits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limits {
    /// An emulator's: none.
    None,
    /// The service's, in an account of it.
    Service,
}

impl Source {
    /// A stream with that many shards and no records, which throttles nobody.
    pub(crate) fn start(shards: usize) -> anyhow::Result<Source> {
        Source::of(ServedStream::start(TABLE), shards, Limits::None)
    }

    /// The same with the limits of the service.
    pub(crate) fn limited(shards: usize) -> anyhow::Result<Source> {
        Source::of(ServedStream::limited(TABLE), shards, Limits::Service)
    }

    fn of(stream: ServedStream, shards: usize, limits: Limits) -> anyhow::Result<Source> {
        // The service's form: the time of the shard's beginning, and what tells siblings apart.
        let shards: Vec<String> =
            (0..shards).map(|number| format!("shardId-00000001750000000000-{number:08x}")).collect();
        for shard in &shards {
            stream.open_shard(NewShard::root(shard));
        }
        Ok(Source { stream, state: Dynoxide::start()?, shards, limits })
    }

    /// The shard that takes the `number`-th record: each in turn.
    pub(crate) fn shard(&self, number: usize) -> &str {
        self.shards.get(number % self.shards.len().max(1)).map_or("", String::as_str)
    }

    /// The shards.
    pub(crate) fn shards(&self) -> &[String] {
        &self.shards
    }

    /// One record in each shard, so that each gets a checkpoint.
    pub(crate) fn put_one_in_each(&self) -> anyhow::Result<u32> {
        let documents = u32::try_from(self.shards.len())?;
        for (shard, mut record) in self.shards.iter().zip(inserts(documents)) {
            record.seconds = now()?;
            self.stream.append(shard, [record.to_json()]);
        }
        Ok(documents)
    }

    /// Where the state table is.
    pub(crate) fn state_url(&self) -> String {
        self.state.endpoint_url()
    }

    /// A configuration for following it in a group that no other run has.
    pub(crate) fn config(
        &self,
        bench: &Bench,
        program: &Program,
        group: &str,
        options: &Options,
    ) -> anyhow::Result<PathBuf> {
        let version = program.name;
        let (node, emulator) = (bench.node.url(), self.state.endpoint_url());
        let mut text = format!(
            "[source]\ntable = \"{TABLE}\"\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n{}\n",
            self.stream.endpoint_url(),
            options.source
        );
        writeln!(text, "[opensearch]\nurl = \"{}\"\n{}", options.search_url.unwrap_or(&node), options.opensearch)?;
        writeln!(text, "[state]\ntable = \"streamdex-{version}\"\ngroup = \"{group}\"")?;
        writeln!(text, "endpoint_url = \"{}\"\n", options.state_url.unwrap_or(&emulator))?;
        writeln!(text, "[[route]]\nindex = \"{TABLE}\"\n{}", options.route)?;
        let path = bench.folder.join(format!("{group}-{version}.toml"));
        std::fs::write(&path, text)?;
        if self.limits == Limits::Service {
            // Only for an emulator it makes the table by itself.
            child::run(program, &path, &["state", "create"], None)?;
        }
        Ok(path)
    }
}

/// The time, in seconds since 1970.
pub(crate) fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())
}
