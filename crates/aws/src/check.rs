//! Checks of AWS settings that need no request to AWS.

use aws_types::os_shim_internal::{Env, Fs};
use streamdex_config::{AwsSettings, is_region};

use crate::{MissingRegion, sdk_config};

/// Why no call can be made under some settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The shared configuration files have no profile of this name.
    #[error("there is no profile {name:?} in the AWS configuration files (they have: {known})")]
    UnknownProfile {
        /// The profile.
        name: String,
        /// The profiles that there are.
        known: String,
    },
    /// The shared configuration files cannot be read.
    #[error("the AWS configuration files cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with them.
        reason: String,
    },
    /// Nothing names a region.
    #[error("no AWS region is configured")]
    NoRegion,
    /// AWS has no region of this name.
    #[error("{0:?} is not an AWS region")]
    NoSuchRegion(String),
}

/// Looks for the profile and the region that calls under `settings` would use, as [`sdk_config`] does. A region is
/// asked of the machine itself where nothing else names one.
///
/// # Errors
/// No call could be made.
pub async fn check(
    settings: &AwsSettings,
    region: Option<&str>,
    missing: MissingRegion<'_>,
) -> Result<(), SettingsError> {
    profile(settings.profile.as_deref()).await?;
    if matches!(missing, MissingRegion::Default(_)) {
        return Ok(());
    }
    let known = Box::pin(sdk_config(settings, region, missing)).await;
    match known.region().map(AsRef::as_ref) {
        None => Err(SettingsError::NoRegion),
        Some(name) if !is_region(name) => Err(SettingsError::NoSuchRegion(name.to_owned())),
        Some(_) => Ok(()),
    }
}

/// Whether there is the profile that is named here; whether there is that of `AWS_PROFILE`, only calls show, since
/// credentials of the environment go before it.
async fn profile(name: Option<&str>) -> Result<(), SettingsError> {
    let Some(name) = name else { return Ok(()) };
    let files = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    let files = files.map_err(|error| SettingsError::Unreadable { reason: crate::root_cause(&error).to_string() })?;
    if files.get_profile(name).is_some() {
        return Ok(());
    }
    let mut known: Vec<&str> = files.profiles().collect();
    known.sort_unstable();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(SettingsError::UnknownProfile { name: name.to_owned(), known })
}

// === impl SettingsError ===

impl SettingsError {
    /// The remedy, in one sentence. `table` is the table of the configuration that has the settings, such as
    /// `[source]`.
    pub fn hint(&self, table: &str) -> String {
        match self {
            SettingsError::UnknownProfile { .. } => {
                format!("correct profile under {table} or [aws], or remove it")
            }
            SettingsError::Unreadable { .. } => {
                "correct the files, or name others in AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE".to_owned()
            }
            SettingsError::NoRegion => format!("set region under {table}, or AWS_REGION"),
            SettingsError::NoSuchRegion(_) => {
                format!("set region under {table}, or AWS_REGION, in the AWS form: eu-west-1")
            }
        }
    }
}
