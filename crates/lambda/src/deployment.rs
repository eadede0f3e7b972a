//! Sets up what a deployment needs before the first record: the roles inside OpenSearch, and the indices. The
//! function's own program does it as a custom resource of CloudFormation, in a separate function that administers
//! OpenSearch, so that the writing function need not.
//!
//! `request` has the requests and answers of CloudFormation, `security` puts the roles. Everything is put again at each
//! update; nothing is deleted when a stack is. The members of the roles are in the environment and not in the request,
//! so a caller of the function cannot choose them.

mod people;
mod request;
mod security;

use std::time::{Duration, SystemTime};

use lambda_runtime::Diagnostic;
use reqwest::redirect::Policy;
use serde_json::Value;
use streamdex_config::{Config, is_loopback};
use streamdex_dynamodb::Fault;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::table::{TableError, TableInfo};
use streamdex_sink::index::{SetupErrorKind, TableFacts};
use streamdex_sink::{Client, ClientError, Indices, SetupContext, SetupError};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

pub use self::people::People;
use self::request::{Reply, Request, RequestType};
use crate::deadline::left_until;

/// Says that a function sets up, and takes no records.
pub const MODE: &str = "STREAMDEX_SET_UP";

/// Sets up what the configuration needs.
pub struct Deployment {
    /// The configuration, or the reason why there is none: CloudFormation waits for an answer in any case.
    config: Result<Config, String>,
    people: People,
}

/// Why a request of CloudFormation has no answer: it waits for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// It is none.
    #[error("the event is not a CloudFormation request: {0}")]
    NoRequest(serde_json::Error),
    /// The answer would go to an address that CloudFormation does not use.
    #[error("the event's ResponseURL is not an https address")]
    Address,
    /// The answer cannot be delivered.
    #[error("the answer to CloudFormation cannot be delivered: {0}; the function needs network access to S3")]
    Undelivered(String),
}

/// Why something is not set up.
#[derive(Debug, thiserror::Error)]
enum NotSetUp {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Roles(SetupError),
    #[error("{index}: {error}")]
    Index { index: String, error: SetupError },
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Kept for the answer, with a few tries.
const ANSWER_TIME: Duration = Duration::from_secs(12);
const ANSWER_TRY: Duration = Duration::from_secs(3);
/// A domain that was made just now does not know its administrator for a while.
const AGAIN: Duration = Duration::from_secs(3);
const NO_ANSWER: &str =
    "OpenSearch or DynamoDB did not answer before the function's timeout: check the network and security groups";

// === impl Deployment ===

impl Deployment {
    /// For this configuration, or for why there is none. No request is made.
    pub fn new(config: Result<Config, String>, people: People) -> Deployment {
        Deployment { config, people }
    }

    /// Does what CloudFormation asks for, and answers it. `deadline` is when Lambda ends the invocation, in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// The event is no request, or the answer cannot be delivered. That something cannot be set up is the answer.
    pub async fn handle(&self, event: Value, deadline: u64) -> Result<(), DeploymentError> {
        let request: Request = serde_json::from_value(event).map_err(DeploymentError::NoRequest)?;
        let left = left_until(deadline, SystemTime::now());
        let done = match (request.request_type, &self.config) {
            // Roles and indices are needed by what is kept: data, and those who search it.
            (RequestType::Delete, _) => Ok(()),
            (_, Ok(config)) => self.insist(config, left.saturating_sub(ANSWER_TIME)).await,
            (_, Err(reason)) => Err(reason.clone()),
        };
        let group = self.config.as_ref().map_or("set-up", |config| config.state.group.as_str());
        deliver(&request.response_url, &Reply::new(&request, group, done)).await
    }

    /// Tries until it is done, cannot be done, or the time is over.
    async fn insist(&self, config: &Config, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        let mut last = NO_ANSWER.to_owned();
        loop {
            let Ok(done) = timeout_at(until, Box::pin(self.set_up(config))).await else { return Err(last) };
            let Err(error) = done else { return Ok(()) };
            let hint = error.hint();
            last = format!("{error}; {hint}");
            if !error.passes() || Instant::now() + AGAIN >= until {
                tracing::error!(hint, "not set up: {error}");
                return Err(last);
            }
            tracing::warn!(hint, "trying again: {error}");
            sleep(AGAIN).await;
        }
    }

    async fn set_up(&self, config: &Config) -> Result<(), NotSetUp> {
        let client = Client::connect(&config.opensearch, &config.aws).await?;
        security::put_roles(&client, config, &self.people).await.map_err(NotSetUp::Roles)?;
        let mut context = SetupContext::new();
        for source in &config.sources {
            let info = TableInfo::describe(&SourceClients::connect(source).await, source).await?;
            let facts = TableFacts { arn: Some(info.arn.to_string()), id: info.id, key_attributes: info.keys };
            context = context.with_table(source.name.clone(), facts);
        }
        for applied in Indices::new(client, config, &context).apply().await {
            let index = applied.index;
            match applied.result {
                Ok(applied) => {
                    tracing::info!(index, "set up");
                    for finding in applied.findings {
                        tracing::warn!(index, hint = finding.hint, "{}", finding.message);
                    }
                }
                Err(error) => return Err(NotSetUp::Index { index, error }),
            }
        }
        Ok(())
    }
}

async fn deliver(url: &str, reply: &Reply) -> Result<(), DeploymentError> {
    let address = Url::parse(url).map_err(|_| DeploymentError::Address)?;
    if address.scheme() != "https" && !is_loopback(&address) {
        return Err(DeploymentError::Address);
    }
    let failed = |error: reqwest::Error| DeploymentError::Undelivered(error.without_url().to_string());
    let client = reqwest::Client::builder().timeout(ANSWER_TRY).redirect(Policy::none()).build().map_err(failed)?;
    let until = Instant::now() + ANSWER_TIME - ANSWER_TRY;
    loop {
        // The address is signed for a request without a content type.
        let sent = client.put(address.clone()).body(reply.to_json()).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= until => return Err(failed(error)),
            Err(error) => tracing::warn!("sending the answer again: {}", error.without_url()),
        }
        sleep(Duration::from_secs(1)).await;
    }
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
            NotSetUp::Roles(error) => security::hint(error).to_owned(),
            NotSetUp::Index { error, .. } => error.hint().to_owned(),
            NotSetUp::Table(error) => error.hint(),
        }
    }

    /// Whether it may be done later without a change: domain and rights were made just now.
    fn passes(&self) -> bool {
        let can_pass =
            |error: &SetupError| matches!(error.kind(), SetupErrorKind::Transient | SetupErrorKind::Credentials);
        match self {
            NotSetUp::Client(error) => can_pass(&error.clone().into()),
            NotSetUp::Roles(error) => security::passes(error),
            NotSetUp::Index { error, .. } => can_pass(error),
            NotSetUp::Table(TableError::Aws(error)) => {
                error.fault().passes_by_itself() || matches!(error.fault(), Fault::Denied | Fault::Credentials)
            }
            NotSetUp::Table(_) => false,
        }
    }
}
