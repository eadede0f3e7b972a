//! Finds credentials and region, and the causes of SDK errors.
//!
//! DynamoDB, its streams, the state table, secrets, buckets and a signed OpenSearch all ask [`sdk_config`], so that `profile`,
//! `role_arn` and `external_id` mean the same to each of them.

mod cause;
mod check;

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use streamdex_config::AwsSettings;

pub use self::cause::{call_reason, causes, credentials_reason, missing_credentials, root_cause};
pub use self::check::{SettingsError, check};

/// A deadline on each attempt; the SDK tries most calls up to three times within the second one.
const ATTEMPT: Duration = Duration::from_secs(10);
const OPERATION: Duration = Duration::from_secs(25);
const CONNECT: Duration = Duration::from_secs(3);
/// The name of the session of an assumed role, as CloudTrail shows it.
const SESSION: &str = "streamdex";

/// Where the region comes from when the settings leave it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingRegion<'a> {
    /// The chain must find one: a call without a region fails.
    Required,
    /// This one signs requests to a server that takes any, as emulators do.
    Default(&'a str),
}

/// Builds the SDK configuration for `settings`, with deadlines, and in `region` if one is given. If the settings name a
/// role, its credentials are used.
///
/// No request is made before credentials are asked for.
pub async fn sdk_config(settings: &AwsSettings, region: Option<&str>, missing: MissingRegion<'_>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let mut base = Box::pin(loader.load()).await;
    if let (None, MissingRegion::Default(region)) = (base.region(), missing) {
        base = base.into_builder().region(Region::new(region.to_owned())).build();
    }
    let Some(role) = &settings.role_arn else { return base };
    let mut assumed = AssumeRoleProvider::builder(role).configure(&base).session_name(SESSION);
    if let Some(external_id) = &settings.external_id {
        assumed = assumed.external_id(external_id);
    }
    let provider = SharedCredentialsProvider::new(Box::pin(assumed.build()).await);
    base.into_builder().credentials_provider(provider).build()
}
