//! Counts the documents of the indices that the configuration names.

use serde::Serialize;
use streamdex_config::Config;
use streamdex_sink::Client;
use streamdex_sink::index::{Documents, index_names};
use tokio::time::timeout;

use crate::connect;
use crate::exit::{CliError, Exit};

/// The indices, and where they are.
pub(super) struct IndexDocuments {
    client: Client,
    /// Concrete names; a pattern where an attribute gives the name.
    names: Vec<String>,
}

/// What an index holds.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    pub(super) index: String,
    pub(super) documents: u64,
    pub(super) with_ignored_values: u64,
}

impl IndexDocuments {
    /// # Errors
    /// The client cannot be made.
    pub(super) async fn connect(config: &Config) -> Result<IndexDocuments, CliError> {
        let client = Client::connect(&config.opensearch, &config.aws).await?;
        let mut names: Vec<String> = index_names(config).into_iter().map(|names| names.concrete).collect();
        names.sort();
        names.dedup();
        Ok(IndexDocuments { client, names })
    }

    /// # Errors
    /// OpenSearch does not answer, or refuses.
    pub(super) async fn count(&self) -> Result<Vec<Counted>, CliError> {
        let mut counted = Vec::with_capacity(self.names.len());
        for index in &self.names {
            let count = timeout(connect::PATIENCE, Documents::count(&self.client, index)).await.map_err(|_| {
                let message = format!("OpenSearch did not answer within {} s", connect::PATIENCE.as_secs());
                CliError::new(Exit::Unreachable, message).with_hint("check opensearch.url and the network")
            })?;
            let documents = count?;
            counted.push(Counted {
                index: index.clone(),
                documents: documents.count,
                with_ignored_values: documents.with_ignored_values,
            });
        }
        Ok(counted)
    }
}
