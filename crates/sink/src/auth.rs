//! Authenticates requests, and reads refused credentials again.
//!
//! Signing itself is done by the `opensearch` crate, which asks its provider for credentials at every
//! request; so `CachedCredentials` keeps them until shortly before they expire, and a refresh forgets
//! them *and* builds the provider chain again, since the SDK's providers read files only once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::region::Region;
use futures::FutureExt;
use opensearch::http::headers::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value};
use streamdex_aws::{MissingRegion, credentials_reason, sdk_config};
use streamdex_config::{AwsSettings, PasswordSource};
use tokio::sync::OnceCell;

pub use crate::secret::SecretError;
use crate::secret::read_secret;

/// Credentials are replaced this long before they expire, so that none expires on the way.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// What is added to each request.
#[derive(Debug)]
pub(crate) enum Authentication {
    /// Nothing.
    None,
    /// HTTP basic.
    Basic(BasicAuth),
    /// AWS Signature Version 4; the transport signs with the same provider.
    Signed(CachedCredentials),
}

/// Why there is nothing to authenticate with.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The variable that should hold the password is not set, or no UTF-8.
    #[error("the environment variable {0} with the OpenSearch password is not set")]
    Variable(String),
    /// The file that should hold the password cannot be read.
    #[error("the OpenSearch password cannot be read from {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The password cannot be put into a header.
    #[error("the OpenSearch password cannot be sent in a header")]
    Header,
    /// The secret that should hold the password cannot be read.
    #[error("the OpenSearch password cannot be read: {0}")]
    Secret(#[from] SecretError),
    /// The secret is a JSON object without a password.
    #[error("the secret {0} is a JSON object without a string \"password\"")]
    NoPassword(String),
    /// The secret says that the password is somebody else's.
    #[error("the secret {arn} holds the password of a different user than {username:?} in opensearch.auth")]
    OtherUser {
        /// The secret's ARN.
        arn: String,
        /// The configured user.
        username: String,
    },
    /// No provider of the chain has credentials, or the responsible one failed.
    #[error("no AWS credentials for OpenSearch: {reason}")]
    Aws {
        /// What the provider said, to its root.
        reason: String,
        /// The provider's error.
        #[source]
        source: Arc<CredentialsError>,
    },
    /// Neither the configuration nor the SDK's own chain names a region.
    #[error("no AWS region to sign OpenSearch requests for")]
    Region,
}

/// A user, and where the password is read.
#[derive(Debug)]
pub(crate) struct BasicAuth {
    username: String,
    password: PasswordSource,
    /// As [`Cache::current`].
    header: Mutex<Arc<OnceCell<HeaderValue>>>,
}

/// Where signing credentials come from.
#[derive(Debug, Clone)]
enum CredentialsSource {
    /// The SDK's chain under these settings, built again at each refresh.
    Chain { settings: AwsSettings, region: Region },
    /// A provider that the caller made.
    Provider(SharedCredentialsProvider),
}

/// A provider that keeps what it was given until shortly before that expires.
#[derive(Debug, Clone)]
pub(crate) struct CachedCredentials(Arc<Cache>);

#[derive(Debug)]
struct Cache {
    source: CredentialsSource,
    /// The cell lets concurrent requests share one load; a refresh puts a new cell in its place.
    current: Mutex<Arc<OnceCell<Credentials>>>,
}

// === impl AuthError ===

impl AuthError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            AuthError::Variable(_) => "set the variable named by opensearch.auth.password_env",
            AuthError::File { .. } => "check that the file in opensearch.auth.password_file exists and is readable",
            AuthError::Secret(_) => {
                "check opensearch.auth.password_secret, the permission secretsmanager:GetSecretValue and the network access to Secrets Manager; `streamdex iam-policy` prints the permission"
            }
            AuthError::NoPassword(_) => {
                "store in the secret either the password itself, or an object with username and password"
            }
            AuthError::OtherUser { .. } => "correct username or password_secret under opensearch.auth",
            AuthError::Header => "a password must not hold line breaks or control characters",
            AuthError::Aws { .. } => {
                "check the profile, role_arn and external_id of opensearch.auth or [aws], or the role of the task or machine"
            }
            AuthError::Region => "set opensearch.auth.region or AWS_REGION",
        }
    }
}

// === impl BasicAuth ===

impl BasicAuth {
    pub(crate) fn new(username: &str, password: &PasswordSource) -> BasicAuth {
        BasicAuth { username: username.to_owned(), password: password.clone(), header: Mutex::default() }
    }

    /// The `Authorization` header; the password is read at the first call and after a [`BasicAuth::forget`].
    pub(crate) async fn header(&self) -> Result<HeaderValue, AuthError> {
        let cell = Arc::clone(&self.kept());
        cell.get_or_try_init(|| self.read()).await.cloned()
    }

    /// Makes the next request read the password again: it may have been rotated.
    pub(crate) fn forget(&self) {
        *self.kept() = Arc::default();
    }

    fn kept(&self) -> MutexGuard<'_, Arc<OnceCell<HeaderValue>>> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self) -> Result<HeaderValue, AuthError> {
        let password = match &self.password {
            PasswordSource::Environment(name) => std::env::var(name).map_err(|_| AuthError::Variable(name.clone()))?,
            PasswordSource::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| AuthError::File { path: path.clone(), source: Arc::new(error) })?;
                without_line_break(&text).to_owned()
            }
            PasswordSource::Secret(secret) => {
                // Behind a pointer: the SDK's types are too deep for what waits for it.
                let text = read_secret(secret).boxed().await?;
                password_in(&text, &self.username, &secret.arn)?
            }
        };
        basic_header(&self.username, &password)
    }
}

/// What a secret may hold beside the password, as the service's own forms have it.
#[derive(Deserialize)]
struct UserSecret {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

/// The password in the text of a secret: a member of a JSON object, else the text itself.
fn password_in(text: &str, username: &str, arn: &str) -> Result<String, AuthError> {
    if serde_json::from_str::<Map<String, Value>>(text).is_err() {
        return Ok(without_line_break(text).to_owned());
    }
    let no_password = || AuthError::NoPassword(arn.to_owned());
    let secret: UserSecret = serde_json::from_str(text).map_err(|_| no_password())?;
    if secret.username.is_some_and(|named| named != username) {
        return Err(AuthError::OtherUser { arn: arn.to_owned(), username: username.to_owned() });
    }
    secret.password.ok_or_else(no_password)
}

/// The text without a final line break.
fn without_line_break(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

fn basic_header(username: &str, password: &str) -> Result<HeaderValue, AuthError> {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut header = HeaderValue::from_str(&format!("Basic {pair}")).map_err(|_| AuthError::Header)?;
    header.set_sensitive(true);
    Ok(header)
}

// === impl CachedCredentials ===

impl CachedCredentials {
    /// From the SDK's chain under `settings`, and the region to sign for.
    pub(crate) async fn from_settings(
        settings: &AwsSettings,
        region: Option<&str>,
    ) -> Result<(CachedCredentials, Region), AuthError> {
        let region = match region {
            Some(region) => Region::new(region.to_owned()),
            None => {
                sdk_config(settings, None, MissingRegion::Required).await.region().cloned().ok_or(AuthError::Region)?
            }
        };
        let source = CredentialsSource::Chain { settings: settings.clone(), region: region.clone() };
        Ok((CachedCredentials::new(source), region))
    }

    /// From a provider of the caller's.
    pub(crate) fn from_provider(provider: SharedCredentialsProvider) -> CachedCredentials {
        CachedCredentials::new(CredentialsSource::Provider(provider))
    }

    fn new(source: CredentialsSource) -> CachedCredentials {
        CachedCredentials(Arc::new(Cache { source, current: Mutex::default() }))
    }

    /// Credentials that are good for at least a minute, or whatever the provider has to give.
    pub(crate) async fn get(&self) -> Result<Credentials, AuthError> {
        self.load()
            .await
            .map_err(|error| AuthError::Aws { reason: credentials_reason(&error), source: Arc::new(error) })
    }

    /// Forgets the credentials; the next request asks the chain again.
    pub(crate) fn forget(&self) {
        *self.0.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    async fn load(&self) -> provider::Result {
        let cell = self.current_cell();
        let credentials = cell.get_or_try_init(|| self.0.source.provide()).await?;
        Ok(credentials.clone())
    }

    fn current_cell(&self) -> Arc<OnceCell<Credentials>> {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        let renew_at = SystemTime::now() + RENEW_BEFORE;
        let expiry = current.get().and_then(Credentials::expiry);
        if expiry.is_some_and(|expiry| expiry <= renew_at) {
            *current = Arc::default();
        }
        Arc::clone(&current)
    }
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

impl CredentialsSource {
    async fn provide(&self) -> provider::Result {
        match self {
            CredentialsSource::Provider(provider) => provider.provide_credentials().await,
            CredentialsSource::Chain { settings, region } => {
                let shared = sdk_config(settings, Some(region.as_ref()), MissingRegion::Required).await;
                let provider = shared.credentials_provider();
                let provider = provider.ok_or_else(|| CredentialsError::not_loaded("no credentials provider"))?;
                provider.provide_credentials().await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Counting {
        calls: AtomicU32,
        lifetime: Duration,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            let expiry = SystemTime::now() + self.lifetime;
            let credentials = Credentials::new(format!("key{call}"), "secret", None, Some(expiry), "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    fn cached(lifetime: Duration) -> CachedCredentials {
        let provider = Counting { calls: AtomicU32::new(0), lifetime };
        CachedCredentials::from_provider(SharedCredentialsProvider::new(provider))
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_refused() {
        let credentials = cached(Duration::from_secs(3600));
        for _ in 0..3 {
            assert_eq!(credentials.get().await.unwrap().access_key_id(), "key0");
        }
        credentials.forget();
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key1");
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_expire() {
        let credentials = cached(Duration::from_secs(30));
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key0");
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key1");
    }

    #[tokio::test]
    async fn a_rotated_password_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "old\n").unwrap();
        let basic = BasicAuth::new("admin", &PasswordSource::File(path.clone()));
        let old = basic.header().await.unwrap();
        assert_eq!(old.to_str().unwrap(), "Basic YWRtaW46b2xk");
        std::fs::write(&path, "new").unwrap();
        assert_eq!(basic.header().await.unwrap(), old);
        basic.forget();
        assert_eq!(basic.header().await.unwrap().to_str().unwrap(), "Basic YWRtaW46bmV3");
    }

    #[tokio::test]
    async fn a_missing_password_is_told_without_a_secret() {
        let basic = BasicAuth::new("admin", &PasswordSource::Environment("STREAMDEX_NO_SUCH_VARIABLE".into()));
        let error = basic.header().await.unwrap_err();
        assert!(error.to_string().contains("STREAMDEX_NO_SUCH_VARIABLE"));
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn a_secret_is_the_password_or_an_object_that_holds_it() {
        let password = |text: &str| password_in(text, "writer", "arn:x");
        for (text, expected) in [
            ("hunter2", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("12345", "12345"),
            ("\"quoted\"", "\"quoted\""),
            ("{not json", "{not json"),
            (r#"{"password":"hunter2"}"#, "hunter2"),
            (r#"{"username":"writer","password":"hunter2","engine":"opensearch"}"#, "hunter2"),
        ] {
            assert_eq!(password(text).unwrap(), expected, "{text}");
        }
        for text in ["{}", r#"{"Password":"hunter2"}"#, r#"{"password":7}"#] {
            let error = password(text).unwrap_err();
            assert!(matches!(error, AuthError::NoPassword(_)) && !error.to_string().contains("hunter2"), "{error}");
        }
        let other = password(r#"{"username":"reader","password":"hunter2"}"#).unwrap_err();
        assert!(matches!(other, AuthError::OtherUser { .. }) && !other.to_string().contains("hunter2"), "{other}");
    }
}
