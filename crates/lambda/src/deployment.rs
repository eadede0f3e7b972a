//! What a deployment needs before the first record: the roles inside OpenSearch, and the indices. The function's own program
//! does it as a custom resource of CloudFormation, in a function of its own that administers OpenSearch, so that the one that
//! writes need not.
//!
//! [`request`] is what CloudFormation asks and wants to hear, [`security`] puts the roles. Everything is put again at each
//! update; nothing is taken away when a stack is deleted.

mod request;
mod security;

use std::time::{Duration, SystemTime};

use lambda_runtime::Diagnostic;
use serde_json::Value;
use streamdex_config::Config;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::table::{TableError, TableInfo};
use streamdex_sink::index::{SetupErrorKind, TableFacts};
use streamdex_sink::{Client, ClientError, Indices, SetupContext, SetupError};
use tokio::time::{Instant, sleep, timeout_at};

use self::request::{Properties, Reply, Request, RequestType};
use self::security::RefusedPut;
use crate::deadline::left_until;

/// Says that a function sets up, and takes no records.
pub const MODE: &str = "STREAMDEX_SET_UP";

/// Sets up what the configuration needs.
pub struct Deployment {
    config: Config,
}

/// Why a request of CloudFormation has no answer: it waits an hour for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// It is none.
    #[error("the event is no request of CloudFormation: {0}")]
    NoRequest(serde_json::Error),
    /// The answer cannot be delivered.
    #[error("CloudFormation's answer cannot be delivered: {0}")]
    Undelivered(String),
}

/// Why something is not set up.
#[derive(Debug, thiserror::Error)]
enum NotSetUp {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Put(#[from] RefusedPut),
    #[error("{index}: {error}")]
    Index { index: String, error: SetupError },
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Kept for the answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
const NO_ANSWER: &str =
    "OpenSearch or DynamoDB did not answer in the time of the function: check the network and security groups";
/// A domain that was made just now does not know its administrator for a while.
const AGAIN: Duration = Duration::from_secs(3);

// === impl Deployment ===

impl Deployment {
    /// For this configuration. No request is made.
    pub fn new(config: Config) -> Deployment {
        Deployment { config }
    }

    /// Does what CloudFormation asks for, and answers it. `deadline` is when Lambda ends the invocation, in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// The event is no request, or the answer cannot be delivered. That something cannot be set up is the answer.
    pub async fn handle(&self, event: Value, deadline: u64) -> Result<(), DeploymentError> {
        let request: Request = serde_json::from_value(event).map_err(DeploymentError::NoRequest)?;
        let left = left_until(deadline, SystemTime::now());
        let done = match request.request_type {
            RequestType::Create | RequestType::Update => {
                self.insist(&request.resource_properties, left.saturating_sub(ANSWER_TIME)).await
            }
            // Roles and indices are needed by what is kept: data, and those who search it.
            RequestType::Delete => Ok(()),
        };
        let reply = Reply::new(&request, &self.config.state.group, done);
        deliver(&request.response_url, &reply).await
    }

    /// Tries until it is done, cannot be done, or the time is over.
    async fn insist(&self, properties: &Properties, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        let mut last = NO_ANSWER.to_owned();
        loop {
            let Ok(done) = timeout_at(until, Box::pin(self.set_up(properties))).await else { return Err(last) };
            let Err(error) = done else { return Ok(()) };
            let hint = error.hint();
            last = format!("{error}; {hint}");
            if !error.passes() || Instant::now() + AGAIN >= until {
                tracing::error!(hint, "not set up: {error}");
                return Err(last);
            }
            tracing::warn!(hint, "it is tried again: {error}");
            sleep(AGAIN).await;
        }
    }

    async fn set_up(&self, properties: &Properties) -> Result<(), NotSetUp> {
        let client = Client::connect(&self.config.opensearch, &self.config.aws).await?;
        security::put_roles(&client, &self.config, properties).await?;
        let mut context = SetupContext::new();
        for source in &self.config.sources {
            let info = TableInfo::describe(&SourceClients::connect(source).await, source).await?;
            let facts = TableFacts { arn: Some(info.arn.to_string()), id: info.id, key_attributes: info.keys };
            context = context.with_table(source.name.clone(), facts);
        }
        for applied in Indices::new(client, &self.config, &context).apply().await {
            match applied.result {
                Ok(_) => tracing::info!(index = applied.index, "set up"),
                Err(error) => return Err(NotSetUp::Index { index: applied.index, error }),
            }
        }
        Ok(())
    }
}

async fn deliver(url: &str, reply: &Reply) -> Result<(), DeploymentError> {
    let failed = |error: reqwest::Error| DeploymentError::Undelivered(error.without_url().to_string());
    let client = reqwest::Client::builder().timeout(ANSWER_TIME).build().map_err(failed)?;
    // The address is signed for a request without a content type.
    let answer = client.put(url).body(reply.to_json()).send().await.map_err(failed)?;
    answer.error_for_status().map(drop).map_err(failed)
}

// === impl DeploymentError ===

impl From<DeploymentError> for Diagnostic {
    fn from(error: DeploymentError) -> Diagnostic {
        Diagnostic { error_type: "Streamdex.Deployment".to_owned(), error_message: error.to_string() }
    }
}

// === impl NotSetUp ===

impl NotSetUp {
    fn hint(&self) -> String {
        match self {
            NotSetUp::Client(error) => error.hint().to_owned(),
            NotSetUp::Put(error) => error.hint().to_owned(),
            NotSetUp::Index { error, .. } => error.hint().to_owned(),
            NotSetUp::Table(error) => error.hint(),
        }
    }

    /// Whether it may be done later without a change: the domain was made just now.
    fn passes(&self) -> bool {
        match self {
            NotSetUp::Client(_) | NotSetUp::Put(_) | NotSetUp::Table(_) => true,
            NotSetUp::Index { error, .. } => {
                matches!(error.kind(), SetupErrorKind::Transient | SetupErrorKind::Credentials)
            }
        }
    }
}
