//! Checks before any call: a profile, a region or a password that does not exist.

use streamdex_aws::{MissingRegion, SettingsError, check};
use streamdex_config::{Auth, AwsSettings, Config, DeadLetterKind, PasswordSource};

use crate::exit::{CliError, Exit};

/// What a command talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uses {
    /// The followed tables and their streams.
    Sources,
    /// The state table.
    State,
    /// The state table, where dead letters go there.
    Letters,
    /// OpenSearch.
    OpenSearch,
}

/// Emulators take any region.
const ANY_REGION: MissingRegion<'_> = MissingRegion::Default("us-east-1");

/// Checks what the configuration says of credentials and regions.
///
/// # Errors
/// Status 2, with the key to set.
pub(crate) async fn preflight(config: &Config, uses: &[Uses]) -> Result<(), CliError> {
    for used in uses {
        match used {
            Uses::Sources => sources(config).await?,
            Uses::State => state(config).await?,
            Uses::Letters if config.dead_letter.kind == DeadLetterKind::Table => state(config).await?,
            Uses::Letters => {}
            Uses::OpenSearch => opensearch(config).await?,
        }
    }
    Ok(())
}

async fn sources(config: &Config) -> Result<(), CliError> {
    for source in &config.sources {
        // The stream is asked in the region too, unless it has an endpoint.
        let everywhere = source.endpoint_url.is_some() && source.streams_endpoint_url.is_some();
        let missing = if everywhere { ANY_REGION } else { MissingRegion::Required };
        let what = format!("the source {:?}", source.name);
        settings((&source.aws, source.region.as_deref(), missing), &what, "[source]").await?;
    }
    Ok(())
}

async fn state(config: &Config) -> Result<(), CliError> {
    let state = &config.state;
    let missing = if state.endpoint_url.is_some() { ANY_REGION } else { MissingRegion::Required };
    settings((&state.aws, state.region.as_deref(), missing), "the state table", "[state]").await
}

async fn opensearch(config: &Config) -> Result<(), CliError> {
    match &config.opensearch.auth {
        Auth::None => Ok(()),
        Auth::Basic { password: PasswordSource::Secret(secret), .. } => {
            settings((&secret.aws, Some(&secret.region), MissingRegion::Required), "the secret", "[aws]").await
        }
        Auth::Basic { password, .. } => self::password(password),
        Auth::SigV4 { region, aws, .. } => {
            let local = streamdex_config::is_loopback(&config.opensearch.url) && region.is_some();
            let missing = if local { ANY_REGION } else { MissingRegion::Required };
            settings((aws, region.as_deref(), missing), "OpenSearch", "opensearch.auth").await
        }
    }
}

async fn settings(
    (aws, region, missing): (&AwsSettings, Option<&str>, MissingRegion<'_>),
    what: &str,
    table: &str,
) -> Result<(), CliError> {
    let checked = Box::pin(check(aws, region, missing)).await;
    checked.map_err(|error: SettingsError| {
        CliError::new(Exit::Usage, format!("{what}: {error}")).with_hint(error.hint(table))
    })
}

fn password(source: &PasswordSource) -> Result<(), CliError> {
    match source {
        PasswordSource::Environment(name) => {
            if std::env::var(name).is_ok_and(|password| !password.is_empty()) {
                return Ok(());
            }
            let message = format!("the environment variable {name} with the OpenSearch password is not set");
            Err(CliError::new(Exit::Usage, message)
                .with_hint(format!("set {name}, or name another variable in password_env under opensearch.auth")))
        }
        PasswordSource::File(path) => {
            let message = format!("the OpenSearch password cannot be read from {}", path.display());
            let hint = "correct password_file under opensearch.auth, or let this process read the file";
            let read = std::fs::read_to_string(path);
            read.map(drop).map_err(|error| CliError::new(Exit::Usage, message).caused_by(error).with_hint(hint))
        }
        // Only a call shows it.
        PasswordSource::Secret(_) => Ok(()),
    }
}
