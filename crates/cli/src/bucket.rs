//! Objects in Amazon S3 with a common prefix.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use streamdex_aws::{MissingRegion, call_reason, root_cause, sdk_config};
use streamdex_config::State;

use crate::exit::{CliError, Exit};

const SCHEME: &str = "s3://";
/// An invocation has at most 6 MB of payload, which is a text inside of a text.
const LARGEST: usize = 64 << 20;
const FETCHED_WITHIN: Duration = Duration::from_secs(120);

/// `s3://BUCKET/PREFIX`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    bucket: String,
    prefix: String,
}

/// A bucket, and what is wanted of it.
pub(crate) struct Bucket {
    client: Client,
    location: Location,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Keys of objects.
    pub(crate) keys: Vec<String>,
    /// Where the listing goes on.
    pub(crate) next: Option<String>,
}

/// An object that was fetched.
pub(crate) struct Fetched {
    /// Its text; what is none is replaced, so that it is read as something else.
    pub(crate) text: String,
    /// The entity tag of what was fetched.
    pub(crate) tag: String,
}

// === impl Location ===

impl Location {
    /// The place that `text` names; `None` where it is no address of S3.
    ///
    /// # Errors
    /// There is no bucket in it.
    pub(crate) fn parse(text: &str) -> Result<Option<Location>, CliError> {
        let Some(place) = text.strip_prefix(SCHEME) else { return Ok(None) };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() {
            let error = CliError::new(Exit::Usage, format!("{text} does not name a bucket"));
            return Err(error.with_hint("write it as s3://BUCKET/PREFIX, or s3://BUCKET for all of it"));
        }
        Ok(Some(Location { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.prefix)
    }
}

// === impl Bucket ===

impl Bucket {
    /// A bucket in the region of the state table, asked for with the same credentials. Nothing is sent.
    pub(crate) async fn connect(state: &State, location: Location) -> Bucket {
        let shared = Box::pin(sdk_config(&state.aws, state.region.as_deref(), MissingRegion::Required)).await;
        Bucket { client: Client::new(&shared), location }
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// The address of an object, for messages.
    pub(crate) fn address(&self, key: &str) -> String {
        format!("{SCHEME}{}/{key}", self.location.bucket)
    }

    /// The next page of keys; those that end in a slash are what a console makes for folders, and left out.
    pub(crate) async fn list(&self, next: Option<String>) -> Result<Page, CliError> {
        let request = self.client.list_objects_v2().bucket(&self.location.bucket).prefix(&self.location.prefix);
        let answer = Box::pin(request.set_continuation_token(next).send()).await;
        let answer = answer.map_err(|error| self.refused("listed", &self.location.to_string(), &error))?;
        let truncated = answer.is_truncated == Some(true);
        let next = answer.next_continuation_token;
        if truncated && next.is_none() {
            let message = format!(
                "{} cannot be listed: S3 says that there are more objects, but gives no continuation token",
                self.location
            );
            return Err(CliError::new(Exit::Unreachable, message));
        }
        let keys = answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key);
        Ok(Page { keys: keys.filter(|key| !key.ends_with('/')).collect(), next: next.filter(|_| truncated) })
    }

    /// Fetches an object; `None` where there is none of this name any more.
    pub(crate) async fn fetch(&self, key: &str) -> Result<Option<Fetched>, CliError> {
        let slow = |_| {
            let message = format!("reading {} took longer than {} s", self.address(key), FETCHED_WITHIN.as_secs());
            Err(CliError::new(Exit::Unreachable, message).with_hint("run the command again"))
        };
        tokio::time::timeout(FETCHED_WITHIN, self.fetch_all(key)).await.unwrap_or_else(slow)
    }

    async fn fetch_all(&self, key: &str) -> Result<Option<Fetched>, CliError> {
        let request = self.client.get_object().bucket(&self.location.bucket).key(key);
        match Box::pin(request.send()).await {
            Ok(answer) => Box::pin(self.take(key, answer)).await.map(Some),
            Err(error) if error.as_service_error().is_some_and(|refusal| refusal.is_no_such_key()) => Ok(None),
            Err(error) => Err(self.refused("read", &self.address(key), &error)),
        }
    }

    async fn take(&self, key: &str, answer: GetObjectOutput) -> Result<Fetched, CliError> {
        let address = self.address(key);
        let (mut bytes, mut body, tag) = (Vec::new(), answer.body, answer.e_tag.unwrap_or_default());
        while let Some(part) = body.next().await {
            let part = part.map_err(|error| {
                let message = format!("reading {address} failed before its end: {}", root_cause(&error));
                CliError::new(Exit::Unreachable, message).with_hint("run the command again")
            })?;
            bytes.extend_from_slice(&part);
            if bytes.len() > LARGEST {
                let message =
                    format!("{address} is larger than {} MiB, so it is not a batch that Lambda gave up", LARGEST >> 20);
                return Err(CliError::new(Exit::Unreachable, message).with_hint("move it away"));
            }
        }
        Ok(Fetched { text: String::from_utf8_lossy(&bytes).into_owned(), tag })
    }

    /// Removes an object that is still what was fetched; whether it was there to be removed.
    pub(crate) async fn remove(&self, key: &str, tag: &str) -> Result<bool, CliError> {
        let request = self.client.delete_object().bucket(&self.location.bucket).key(key);
        if tag.is_empty() {
            let message =
                format!("{} was kept: S3 gave no entity tag, so the object may have been replaced", self.address(key));
            return Err(CliError::new(Exit::Unreachable, message).with_hint("remove it by hand"));
        }
        match Box::pin(request.if_match(tag).send()).await {
            Ok(_) => Ok(true),
            // Another replay has removed it.
            Err(error) if error.code() == Some("NoSuchKey") => Ok(true),
            Err(error) if matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")) => {
                tracing::warn!(object = self.address(key), "an object was overwritten during the replay and was kept");
                Ok(false)
            }
            Err(error) => Err(self.refused("removed", &self.address(key), &error)),
        }
    }

    fn refused<E>(&self, done: &str, what: &str, error: &SdkError<E>) -> CliError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let message = format!("{what} cannot be {done}: {}", call_reason(error));
        let hint = match error.code() {
            Some("AccessDenied") => format!(
                "`streamdex iam-policy --for replay --on-failure-bucket {}` prints the needed permissions; if the bucket has a customer key, add --bucket-key",
                self.location.bucket
            ),
            Some("InvalidObjectState") => {
                "the object is in an archive storage class: restore it, or move it away".to_owned()
            }
            Some(code) if code.starts_with("KMS.") => "check the KMS key of the bucket".to_owned(),
            Some("NoSuchBucket") => "correct the bucket's name: s3://BUCKET/PREFIX".to_owned(),
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed") => {
                "the bucket is in another region: set AWS_REGION, or region under [state]".to_owned()
            }
            _ => "check credentials, region, and the way to S3 (from a VPC: a gateway endpoint)".to_owned(),
        };
        CliError::new(Exit::Unreachable, message).with_hint(hint)
    }
}
