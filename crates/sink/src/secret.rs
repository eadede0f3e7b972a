//! Secrets of AWS Secrets Manager.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use streamdex_aws::{MissingRegion, call_reason, sdk_config};
use streamdex_config::Secret;

/// Why a secret cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Secrets Manager did not answer, or refused.
    #[error("the secret {arn} cannot be read: {reason}")]
    Call {
        /// The secret's ARN.
        arn: String,
        /// What the service said, or why it did not answer.
        reason: String,
    },
    /// There was no answer.
    #[error("the secret {arn} cannot be read: Secrets Manager did not answer within {} s", after.as_secs())]
    Unanswered {
        /// The secret's ARN.
        arn: String,
        /// The deadline.
        after: Duration,
    },
    /// It holds bytes in place of text, or nothing.
    #[error("the secret {0} has no string value")]
    NoText(String),
}

/// A service that does not answer must not be taken for an OpenSearch that does not: requests to it wait for the password.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// The current version of a secret. It is asked for at each call.
///
/// # Errors
/// See [`SecretError`]; none of them holds a part of the secret.
pub(crate) async fn read_secret(secret: &Secret) -> Result<String, SecretError> {
    let unanswered = |_| Err(SecretError::Unanswered { arn: secret.arn.clone(), after: ANSWERED_WITHIN });
    tokio::time::timeout(ANSWERED_WITHIN, Box::pin(ask(secret))).await.unwrap_or_else(unanswered)
}

async fn ask(secret: &Secret) -> Result<String, SecretError> {
    let shared = Box::pin(sdk_config(&secret.aws, Some(&secret.region), MissingRegion::Required)).await;
    let request = Client::new(&shared).get_secret_value().secret_id(&secret.arn);
    let answer = Box::pin(request.send()).await;
    let unread = |error: SdkError<_, _>| SecretError::Call { arn: secret.arn.clone(), reason: call_reason(&error) };
    let text = answer.map_err(unread)?.secret_string;
    text.filter(|text| !text.is_empty()).ok_or_else(|| SecretError::NoText(secret.arn.clone()))
}
