//! How the supported engines behave where streamdex depends on it, each tried on a real node.
//!
//! Every check is one sentence that holds on the newest line; an engine that does otherwise says how. The matrix is
//! `docs/registers/compatibility.md`. With `STREAMDEX_WRITE_COMPATIBILITY` set the file is written; else the test holds it to
//! what the engines did.

mod check;
pub(crate) mod lab;
mod matrix;
mod outcome;
mod poison;
mod reads;
mod refusals;
mod setup;
mod vanished;
mod versions;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use check::Check;
use futures::{FutureExt, StreamExt, stream};
use lab::Lab;
use matrix::Matrix;
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode};
use streamdex_testkit::report;

const WRITE: &str = "STREAMDEX_WRITE_COMPATIBILITY";
const AT_ONCE: usize = 6;

/// All checks under their headings, in the order of the document.
fn all() -> Vec<(&'static str, Vec<Check>)> {
    vec![
        ("Versions", versions::checks()),
        ("Deletes and what is remembered of them", versions::tombstones()),
        ("Documents under the safe mapping", refusals::safe_mapping()),
        ("Refusals of one document", refusals::checks()),
        ("Requests that fail as a whole", poison::checks()),
        ("Index set-up", setup::checks()),
        ("Index templates and other owners", setup::others()),
        ("Vanished indices", vanished::checks()),
        ("Reading an index", reads::checks()),
    ]
}

/// Several nodes at once would not fit into a small machine, so one is gone before the next comes.
#[tokio::test]
async fn engines_behave_as_documented() {
    let mut matrix = Matrix::default();
    let mut broken = Vec::new();
    for engine in
        [SearchEngine::Elasticsearch7, SearchEngine::OpenSearch1, SearchEngine::OpenSearch2, SearchEngine::OpenSearch3]
    {
        let started = SearchNode::start(engine, NodeOptions::default()).await;
        let Some(node) = report::needs(engine.label(), started) else {
            continue;
        };
        let lab = Arc::new(Lab::new(&node.url()).await);
        for (heading, checks) in all() {
            // Checks share nothing but the node.
            let running = checks.into_iter().map(|check| {
                let run = AssertUnwindSafe((check.run)(lab.clone())).catch_unwind();
                async move { (check.name, run.await) }
            });
            for (name, outcome) in stream::iter(running).buffered(AT_ONCE).collect::<Vec<_>>().await {
                let outcome = outcome.unwrap_or_else(|_| {
                    broken.push(format!("{}: {name}", engine.label()));
                    Err("the check broke".to_owned())
                });
                matrix.enter(engine.label(), heading, name, outcome);
            }
        }
    }
    println!("{}", matrix.render());
    assert!(broken.is_empty(), "checks that could not be carried out: {broken:?}");
    if std::env::var_os(WRITE).is_some() {
        matrix.write();
    } else {
        let differences = matrix.compare();
        assert!(
            differences.is_empty(),
            "docs/registers/compatibility.md is not what the engines do:\n{}",
            differences.join("\n")
        );
    }
}
