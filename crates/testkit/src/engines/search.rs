//! Search nodes: OpenSearch, Elasticsearch, and the in-memory stand-in for machines without a JDK.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::EngineError;
use super::folders::RunFolder;
use super::health::{get, wait_until_up};
use super::package::Package;
use super::ports::{ReservedPort, SEARCH_PORTS};
use super::{SharedEngine, blocking, shared, unique_name};
use crate::process::Supervised;

const STOP_GRACE: Duration = Duration::from_secs(20);

/// A search engine and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchEngine {
    /// OpenSearch 3.8.0.
    OpenSearch3,
    /// OpenSearch 2.19.1.
    OpenSearch2,
    /// OpenSearch 1.3.0.
    OpenSearch1,
    /// Elasticsearch 7.10.2, the last line of Amazon Elasticsearch Service.
    Elasticsearch7,
    /// `osmem-server` 0.1.6: speaks the API of OpenSearch 3.8, in memory, without 429 and refresh window.
    Osmem,
}

impl SearchEngine {
    /// All engines.
    pub const ALL: [Self; 5] =
        [Self::OpenSearch3, Self::OpenSearch2, Self::OpenSearch1, Self::Elasticsearch7, Self::Osmem];
    /// The real nodes.
    pub const REAL: [Self; 4] = [Self::OpenSearch3, Self::OpenSearch2, Self::OpenSearch1, Self::Elasticsearch7];

    /// What is downloaded for it.
    #[must_use]
    pub fn package(self) -> Package {
        match self {
            Self::OpenSearch3 => Package::OPENSEARCH_3,
            Self::OpenSearch2 => Package::OPENSEARCH_2,
            Self::OpenSearch1 => Package::OPENSEARCH_1,
            Self::Elasticsearch7 => Package::ELASTICSEARCH_7,
            Self::Osmem => Package::OSMEM,
        }
    }

    /// Name and version: `OpenSearch 3.8.0`.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.package().label()
    }

    fn settings_file(self) -> &'static str {
        match self {
            Self::Elasticsearch7 => "elasticsearch.yml",
            _ => "opensearch.yml",
        }
    }

    fn main_class(self) -> &'static str {
        match self {
            Self::Elasticsearch7 => "org.codelibs.elasticsearch.runner.ElasticsearchClusterRunner",
            _ => "org.codelibs.opensearch.runner.OpenSearchRunner",
        }
    }
}

/// A program that starts the runner's node with one role more; Java runs it from its source.
const RUNNER: &str = include_str!("Runner.java");
const RUNNER_FILE: &str = "Runner.java";

/// How a node differs from the plain one. `osmem-server` takes no options.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    settings: Vec<(String, String)>,
    heap_megabytes: u32,
    runs_pipelines: bool,
}

impl Default for NodeOptions {
    /// No extra settings, 512 MB of heap: enough for tests of some thousand documents.
    fn default() -> Self {
        Self { settings: Vec::new(), heap_megabytes: 512, runs_pipelines: false }
    }
}

impl NodeOptions {
    /// A line of `opensearch.yml`, as `("thread_pool.write.queue_size", "2")` or
    /// `("http.max_content_length", "2mb")`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Ingest pipelines are run, of OpenSearch alone: the runner gives its nodes no such role.
    #[must_use]
    pub fn runs_pipelines(mut self) -> Self {
        self.runs_pipelines = true;
        self
    }

    /// The heap, in megabytes.
    #[must_use]
    pub fn heap_megabytes(mut self, megabytes: u32) -> Self {
        self.heap_megabytes = megabytes;
        self
    }
}

/// A running search node on a loopback port, killed when dropped.
///
/// It keeps its port and data through [`SearchNode::kill`], [`SearchNode::stop`] and [`SearchNode::restart`]
/// (`osmem-server` keeps the port only).
#[derive(Debug)]
pub struct SearchNode {
    engine: SearchEngine,
    options: NodeOptions,
    package: PathBuf,
    cluster_name: String,
    // Before the folder and the port: fields are dropped in order, and the process must be gone first.
    process: Mutex<Option<Supervised>>,
    folder: RunFolder,
    port: ReservedPort,
}

impl SearchNode {
    /// Fetches the engine if need be, starts its own node and waits until it answers.
    ///
    /// # Errors
    /// When a tool is missing, the download fails, or the node does not come up.
    pub async fn start(engine: SearchEngine, options: NodeOptions) -> Result<Self, EngineError> {
        blocking(move || Self::start_blocking(engine, options)).await
    }

    /// [`SearchNode::start`] for callers without a runtime.
    ///
    /// # Errors
    /// As [`SearchNode::start`].
    pub fn start_blocking(engine: SearchEngine, options: NodeOptions) -> Result<Self, EngineError> {
        let package = engine.package().fetch()?;
        let node = Self {
            engine,
            options,
            package,
            cluster_name: unique_name("streamdex"),
            process: Mutex::new(None),
            folder: RunFolder::create(engine.package().slug())?,
            port: ReservedPort::reserve(SEARCH_PORTS)?,
        };
        node.write_settings()?;
        node.launch()?;
        Ok(node)
    }

    /// The node that all tests of this process share, started at the first call. Use [`unique_name`] for what is
    /// put on it, and neither stop nor kill it. It ends with the process.
    ///
    /// # Errors
    /// As [`SearchNode::start`]; a failure is remembered, so that a hundred tests do not wait for it in turn.
    pub async fn shared(engine: SearchEngine) -> Result<Arc<Self>, EngineError> {
        static SHARED: [SharedEngine<SearchNode>; SearchEngine::ALL.len()] =
            [const { Mutex::new(None) }; SearchEngine::ALL.len()];
        let slot = &SHARED[SearchEngine::ALL.iter().position(|each| *each == engine).unwrap()];
        shared(slot, move || Self::start_blocking(engine, NodeOptions::default())).await
    }

    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> SearchEngine {
        self.engine
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Address and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The end of the node's log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        self.lock().as_ref().map(|process| process.log_tail(lines)).unwrap_or_default()
    }

    /// Ends the node in good order (SIGTERM).
    pub async fn stop(self: &Arc<Self>) {
        let node = Arc::clone(self);
        blocking(move || {
            if let Some(mut process) = node.lock().take() {
                process.stop(STOP_GRACE).unwrap();
            }
        })
        .await;
    }

    /// Ends the node as a power cut would (SIGKILL).
    pub fn kill(&self) {
        if let Some(mut process) = self.lock().take() {
            process.kill().unwrap();
        }
    }

    /// Halts the process (SIGSTOP): it holds its connections and answers nothing.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Ends a [`SearchNode::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Starts the node again on the same port and data, ending it first if it still runs, and waits for it.
    ///
    /// # Errors
    /// When the node does not come up.
    pub async fn restart(self: &Arc<Self>) -> Result<(), EngineError> {
        let node = Arc::clone(self);
        blocking(move || {
            if let Some(mut process) = node.lock().take() {
                process.stop(STOP_GRACE).unwrap();
            }
            node.launch()
        })
        .await
    }

    fn signal(&self, name: &str) {
        self.lock().as_mut().expect("the node runs").signal(name).unwrap();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Supervised>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn launch(&self) -> Result<(), EngineError> {
        let command = match self.engine {
            SearchEngine::Osmem => self.osmem_command(),
            _ => self.runner_command()?,
        };
        let log = self.folder.path().join("node.log");
        let mut process = Supervised::spawn(command, &log)
            .map_err(|error| EngineError::io(format!("starting {}", self.engine.label()), &error))?;
        wait_until_up(self.engine.label(), &mut process, || self.is_up())?;
        *self.lock() = Some(process);
        Ok(())
    }

    fn is_up(&self) -> bool {
        let health = get(self.address(), "/_cluster/health?wait_for_status=yellow&timeout=2s");
        let Some((200, health)) = health else {
            return false;
        };
        // Somebody else's node may have come to this port.
        self.engine == SearchEngine::Osmem || health.contains(&self.cluster_name)
    }

    fn osmem_command(&self) -> Command {
        let mut command = Command::new(self.package.join("bin/osmem-server"));
        command.args(["-no-stdin-watch", "-addr"]).arg(self.address().to_string());
        command
    }

    fn runner_command(&self) -> Result<Command, EngineError> {
        let jdk = self.engine.package().jdk()?;
        let temporary = self.folder.path().join("tmp");
        fs::create_dir_all(&temporary).map_err(|error| EngineError::io("making a folder", &error))?;
        let heap = self.options.heap_megabytes;
        let mut command = Command::new(jdk.java);
        command
            .args([format!("-Xms{heap}m"), format!("-Xmx{heap}m")])
            .arg("-XX:+UseSerialGC")
            .arg("--enable-native-access=ALL-UNNAMED")
            .arg(format!("-Djava.io.tmpdir={}", temporary.display()))
            .arg("-cp")
            .arg(self.package.join("lib/*"))
            .arg(self.main()?)
            .arg("-basePath")
            .arg(self.folder.path().join("node"))
            .args(["-numOfNode", "1", "-clusterName", &self.cluster_name])
            // The runner adds the number of the node, 1.
            .args(["-baseHttpPort", &(self.port.number() - 1).to_string()])
            .arg("-confPath")
            .arg(self.settings_folder())
            .arg("-printOnFailure");
        Ok(command)
    }

    /// The class to start, or the source of one.
    fn main(&self) -> Result<OsString, EngineError> {
        if !self.options.runs_pipelines {
            return Ok(self.engine.main_class().into());
        }
        write_file(self.folder.path(), RUNNER_FILE, RUNNER)?;
        Ok(self.folder.path().join(RUNNER_FILE).into())
    }

    fn settings_folder(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn write_settings(&self) -> Result<(), EngineError> {
        // A developer's disk is often fuller than the engine's watermarks allow.
        let mut text = String::from("cluster.routing.allocation.disk.threshold_enabled: false\n");
        for (name, value) in &self.options.settings {
            writeln!(text, "{name}: {value}").unwrap();
        }
        let folder = self.settings_folder();
        write_file(&folder, self.engine.settings_file(), &text)
    }
}

fn write_file(folder: &Path, name: &str, text: &str) -> Result<(), EngineError> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(folder.join(name), text))
        .map_err(|error| EngineError::io(format!("writing {name}"), &error))
}
