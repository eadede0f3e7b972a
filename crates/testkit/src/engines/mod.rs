//! The real engines: how they are fetched, started, broken and stopped.
//!
//! | engine | comes from | needs |
//! |---|---|---|
//! | OpenSearch 3.8.0 | Maven Central | `mvn`, a JDK 21 |
//! | OpenSearch 2.19.1, 1.3.0, Elasticsearch 7.10.2, DynamoDB Local 2.6.1 | Maven Central | `mvn`, a JDK 17 |
//! | OpenSearch 2.19.1 with its Security plugin | Maven Central | `mvn`, a JDK 17 |
//! | `osmem-server` 0.1.6 | PyPI, into a private virtual environment | `python3` with `venv` |
//! | moto 5.2.5, for S3 and Secrets Manager, with botocore | PyPI, into a private virtual environment | `python3` with `venv` |
//! | Playwright 1.65.2 | PyPI, into a private virtual environment | `python3` with `venv`, and `chromium` |
//! | dynoxide | a crate, in process | nothing |
//!
//! What comes from PyPI is pinned with its hashes in `requirements`; `.ci/pin-python` renews that.

#[cfg(feature = "clients")]
mod aws;
mod browser;
mod dynamodb_local;
#[cfg(feature = "clients")]
mod dynoxide;
mod error;
mod folders;
mod health;
mod java;
mod moto;
mod package;
mod pip;
mod ports;
mod search;
#[cfg(feature = "clients")]
mod secured;

#[cfg(feature = "clients")]
pub use aws::{REGION, child_environment, dynamodb_client, streams_client};
pub use browser::Browser;
pub use dynamodb_local::DynamoDbLocal;
#[cfg(feature = "clients")]
pub use dynoxide::Dynoxide;
pub use error::EngineError;
pub use folders::{target_folder, workspace_folder};
pub use java::{Jdk, find_jdk};
pub use moto::Moto;
pub use package::Package;
pub use pip::pip_install;
pub use search::{NodeOptions, SearchEngine, SearchNode};
#[cfg(feature = "clients")]
pub use secured::SecuredNode;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A name that no other test of this machine uses, for indices and tables on a shared engine: lower-case letters,
/// digits and `-`.
#[must_use]
pub fn unique_name(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{count}", std::process::id())
}

/// An engine that all tests of this process share; a failure is remembered, so that a hundred tests do not wait for it in turn.
type SharedEngine<T> = Mutex<Option<Result<Arc<T>, EngineError>>>;

/// The shared engine, started at the first call.
async fn shared<T: Send + Sync + 'static>(
    slot: &'static SharedEngine<T>,
    start: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<Arc<T>, EngineError> {
    blocking(move || {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert_with(|| start().map(Arc::new)).clone()
    })
    .await
}

/// Runs blocking work of this module beside the asynchronous runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}
