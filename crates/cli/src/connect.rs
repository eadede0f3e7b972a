//! The first connection to a service. One-shot commands wait ten seconds for it and then give up.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Config, DeadLetterKind, Source, TableReference, key_mismatches};
use streamdex_delivery::letter::{DeadLetterStore, FileLetters, TableLetters};
use streamdex_dynamodb::clients::{SourceClients, state_client};
use streamdex_dynamodb::state::StateTable;
use streamdex_dynamodb::table::{TableInfo, check_view};
use streamdex_sink::index::{SetupErrorKind, TableFacts};
use streamdex_sink::{Indices, SetupContext, SetupError};
use tokio::time::{Instant, sleep, timeout};

use crate::exit::{CliError, Exit};

/// How long a one-shot command waits for the first answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(1);
const REMINDER: Duration = Duration::from_secs(60);

/// One call of DynamoDB, within the time that a one-shot command has for it.
///
/// # Errors
/// The call's own, or there was no answer.
pub(crate) async fn within<T>(call: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    timeout(PATIENCE, call).await.unwrap_or_else(|_| {
        let message = format!("DynamoDB did not answer within {} s", PATIENCE.as_secs());
        let hint = "check credentials, the region, source.endpoint_url, the network and security groups";
        Err(CliError::new(Exit::Unreachable, message).with_hint(hint))
    })
}

/// Waits until OpenSearch answers.
pub(crate) async fn opensearch(indices: &Indices) -> Result<(), CliError> {
    let can_pass = |error: &SetupError| error.kind() == SetupErrorKind::Transient;
    match timeout(PATIENCE, insist(Some(PATIENCE), can_pass, || indices.flavour())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            let message = format!("OpenSearch did not answer within {} s", PATIENCE.as_secs());
            let hint = "check that OpenSearch runs, and that opensearch.url, the network and security groups let this machine reach it";
            Err(CliError::new(Exit::Unreachable, message).with_hint(hint))
        }
    }
}

/// Whether something else than OpenSearch answers. No answer, or a temporary error, proves nothing yet.
pub(crate) async fn nothing_else_than_opensearch(indices: &Indices) -> Result<(), CliError> {
    match timeout(PATIENCE, indices.flavour()).await {
        Ok(Err(error)) if error.kind() == SetupErrorKind::Endpoint => Err(error.into()),
        _ => Ok(()),
    }
}

/// The store of dead letters that the configuration names.
pub(crate) async fn letters(config: &Config) -> Arc<dyn DeadLetterStore> {
    match &config.dead_letter.kind {
        DeadLetterKind::File(path) => Arc::new(FileLetters::new(path)),
        DeadLetterKind::Table => Arc::new(TableLetters::new(state_table(config).await)),
    }
}

/// The state table, as the configured group sees it. No request is made.
pub(crate) async fn state_table(config: &Config) -> StateTable {
    let client = state_client(&config.state).await;
    let table = StateTable::new(client, config.state.table.clone(), config.state.group.clone());
    table.beside(&config.sources, &config.state)
}

/// Repeats a call that can succeed later: every few seconds, with a log line for each new reason and one a
/// minute. `patience` is `None` for ever.
///
/// # Errors
/// The call's own, where it cannot pass or patience is over.
pub(crate) async fn insist<T, E, F>(
    patience: Option<Duration>,
    can_pass: impl Fn(&E) -> bool,
    call: impl Fn() -> F,
) -> Result<T, E>
where
    E: Error,
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let (mut told, mut told_at) = (String::new(), started);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let over = patience.is_some_and(|patience| started.elapsed() + AGAIN > patience);
        if over || !can_pass(&error) {
            return Err(error);
        }
        let text = error.to_string();
        if text != told || told_at.elapsed() >= REMINDER {
            tracing::warn!("waiting: {text}");
            (told, told_at) = (text, Instant::now());
        }
        sleep(AGAIN).await;
    }
}

/// What is known of the sources' tables. If `can_do_without` accepts the error, the facts of that table are missing,
/// and a warning is logged.
///
/// # Errors
/// The others: a table shows that the configuration does not fit it.
pub(crate) async fn table_facts(
    config: &Config,
    can_do_without: fn(&CliError) -> bool,
) -> Result<SetupContext, CliError> {
    let mut context = SetupContext::new();
    for source in &config.sources {
        let facts = match described(source).await {
            Ok(facts) => facts,
            Err(error) if !can_do_without(&error) => return Err(error),
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                tracing::warn!(source = source.name, hint, "the table's keys could not be read: {error}");
                unasked(source)
            }
        };
        context = context.with_table(source.name.clone(), facts);
    }
    Ok(context)
}

async fn described(source: &Source) -> Result<TableFacts, CliError> {
    let clients = SourceClients::connect(source).await;
    let info = within(async { Ok(Box::pin(TableInfo::describe(&clients, source)).await?) }).await?;
    fits(source, &info)?;
    Ok(TableFacts { arn: Some(info.arn.to_string()), id: info.id, key_attributes: info.keys })
}

/// Whether the routes fit the table and its stream.
///
/// # Errors
/// Status 2, with the first that does not.
pub(crate) fn fits(source: &Source, info: &TableInfo) -> Result<(), CliError> {
    check_view(source, info)?;
    keys_fit(source, &info.keys)
}

/// Whether the routes fit a table with these key attributes.
///
/// # Errors
/// Status 2, with the first that does not.
pub(crate) fn keys_fit(source: &Source, keys: &[String]) -> Result<(), CliError> {
    for route in &source.routes {
        if let Some(mismatch) = key_mismatches(route, keys).first() {
            let message = format!("the route to {} does not fit the table: {mismatch}", route.index.text());
            let hint = format!("{} (its keys: {})", mismatch.hint(), keys.join(", "));
            return Err(CliError::new(Exit::Usage, message).with_hint(hint));
        }
    }
    Ok(())
}

fn unasked(source: &Source) -> TableFacts {
    let arn = match &source.table {
        TableReference::Name(_) => None,
        TableReference::StreamArn(arn) => Some(arn.table().to_string()),
    };
    TableFacts { arn, ..TableFacts::default() }
}
