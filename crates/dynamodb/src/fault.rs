//! Classifies failed AWS calls, by error code and never by text.

use std::error::Error as StdError;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use streamdex_aws::{causes, missing_credentials, root_cause};

use crate::place::Place;

/// What a failed call means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Too many calls: repeat them more slowly. `LimitExceededException` is one of these, and the SDK does not retry
    /// it.
    Throttled,
    /// A shard iterator older than 15 minutes; a new one is to be asked for.
    ExpiredIterator,
    /// The position lies before the oldest record that the stream still holds.
    Trimmed,
    /// The table, stream or shard is not there.
    NotFound,
    /// The condition of a write does not hold.
    Condition,
    /// The table is being created, changed or deleted, or exists already.
    InUse,
    /// The service, the network or a deadline; the same again later.
    Transient,
    /// There are no credentials, or the ones there are do not count.
    Credentials,
    /// The credentials are good and lack a permission.
    Denied,
    /// The request itself is wrong; sending it again does not help.
    Invalid,
}

/// A failed AWS call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    fault: Fault,
    operation: &'static str,
    place: Place,
    code: Option<String>,
    detail: Option<String>,
    oddity: Option<Oddity>,
}

/// What an answer says of itself.
#[derive(Debug, Default)]
pub(crate) struct Head {
    status: u16,
    /// Its content type.
    kind: Option<String>,
}

/// Odd behaviour of a server, which may mean that the configuration points to something other than DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    /// A 200 that lacks what was asked for.
    Incomplete,
    /// An answer that is none of DynamoDB's.
    NotDynamoDb,
    /// Plain HTTP was spoken to a server that does not speak it, as one that speaks TLS.
    NotHttp,
    /// TLS was spoken to a server that speaks plain HTTP.
    NotTls,
}

// === impl Fault ===

impl Fault {
    /// The fault that an error code of DynamoDB, DynamoDB Streams or STS means.
    fn of_code(code: &str) -> Option<Fault> {
        let fault = match code {
            "LimitExceededException"
            | "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown" => Fault::Throttled,
            "ExpiredIteratorException" => Fault::ExpiredIterator,
            "TrimmedDataAccessException" => Fault::Trimmed,
            "ResourceNotFoundException" | "TableNotFoundException" => Fault::NotFound,
            "ConditionalCheckFailedException" => Fault::Condition,
            // A table that was made just now has no backups yet.
            "ResourceInUseException" | "ContinuousBackupsUnavailableException" => Fault::InUse,
            "InternalServerError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "TransactionInProgressException"
            | "TransactionConflictException"
            | "TransactionCanceledException"
            | "RequestTimeout" => Fault::Transient,
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "RequestExpired" => Fault::Credentials,
            "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => Fault::Denied,
            _ => return None,
        };
        Some(fault)
    }

    /// Whether the same call can succeed later without any intervention.
    pub fn passes_by_itself(self) -> bool {
        matches!(self, Fault::Throttled | Fault::Transient | Fault::InUse)
    }

    /// A word for metrics and status lines.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Throttled => "throttled",
            Fault::ExpiredIterator => "expired_iterator",
            Fault::Trimmed => "trimmed",
            Fault::NotFound => "not_found",
            Fault::Condition => "condition",
            Fault::InUse => "in_use",
            Fault::Transient => "unreachable",
            Fault::Credentials => "credentials",
            Fault::Denied => "denied",
            Fault::Invalid => "invalid",
        }
    }
}

// === impl AwsError ===

impl AwsError {
    /// An error of a call that never reached the SDK (a deadline, a missing field in an answer).
    pub fn new(fault: Fault, operation: &'static str) -> AwsError {
        AwsError { fault, operation, place: Place::default(), code: None, detail: None, oddity: None }
    }

    /// The same, naming where the call went.
    #[must_use]
    pub(crate) fn at(mut self, place: Place) -> AwsError {
        self.place = place;
        self
    }

    /// The answer lacks a part.
    pub(crate) fn incomplete(self, part: &str) -> AwsError {
        let odd = AwsError { oddity: Some(Oddity::Incomplete), ..self };
        odd.with_detail(format!("the answer has status 200 but lacks `{part}`"))
    }

    /// The same with a sentence for the operator. The sentence must hold no item data.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> AwsError {
        self.detail = Some(detail.into());
        self
    }

    /// Classifies what the SDK answered.
    pub(crate) fn from_sdk<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => AwsError::of_answer(operation, answer.err(), answer.raw()),
            SdkError::ResponseError(answer) => match Head::of(answer.raw()) {
                head if head.is_json() => AwsError::of_silence(operation, error),
                head => AwsError::new(Fault::Transient, operation).of_stranger(&head),
            },
            _ => AwsError::of_silence(operation, error),
        }
    }

    /// There is no answer, or none that can be read.
    fn of_silence<E: StdError + 'static>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError {
        let new = |fault| AwsError::new(fault, operation);
        if let Some(missing) = missing_credentials(error) {
            return new(Fault::Credentials).with_detail(missing);
        }
        if causes(error).any(is_plain_for_tls) {
            let odd = AwsError { oddity: Some(Oddity::NotTls), ..new(Fault::Transient) };
            return odd.with_detail("the server speaks plain HTTP, but https was requested");
        }
        if causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)) {
            let odd = AwsError { oddity: Some(Oddity::NotHttp), ..new(Fault::Transient) };
            return odd.with_detail("the server does not speak plain HTTP; it may expect TLS (https)");
        }
        let fault = match error {
            SdkError::ConstructionFailure(_) => Fault::Invalid,
            SdkError::DispatchFailure(failure) if failure.is_user() => Fault::Invalid,
            _ => Fault::Transient,
        };
        new(fault).with_detail(root_cause(error).to_string())
    }

    fn of_answer<E: ProvideErrorMetadata>(operation: &'static str, error: &E, answer: &HttpResponse) -> AwsError {
        let by_status = match answer.status().as_u16() {
            429 => Fault::Throttled,
            // Below 400 it is an answer that cannot be read.
            ..=399 | 500.. => Fault::Transient,
            401 => Fault::Credentials,
            403 => Fault::Denied,
            _ => Fault::Invalid,
        };
        let fault = error.code().and_then(Fault::of_code).unwrap_or(by_status);
        let new = AwsError::new(fault, operation);
        // Every error of DynamoDB has a type.
        let Some(code) = error.code() else {
            let head = Head::of(answer);
            let unreadable = head.is_json() && answer.status().is_success();
            return if unreadable { new.with_detail("the answer cannot be read") } else { new.of_stranger(&head) };
        };
        // Messages of the other faults can quote what was sent; these name resources and principals.
        let quotable = matches!(fault, Fault::Denied | Fault::NotFound | Fault::Credentials | Fault::Invalid);
        let detail = error.message().filter(|_| quotable).map(str::to_owned);
        AwsError { code: Some(code.to_owned()), detail, ..new }
    }

    /// The answer has status 200 and cannot be read; `what` holds no values.
    pub(crate) fn unreadable(self, head: &Head, what: &str) -> AwsError {
        if head.is_json() {
            self.with_detail(format!("the answer cannot be read: {what}"))
        } else {
            self.of_stranger(head)
        }
    }

    fn of_stranger(self, head: &Head) -> AwsError {
        let kind = head.kind.as_ref().map(|kind| format!(" and {kind}")).unwrap_or_default();
        let odd = AwsError { oddity: Some(Oddity::NotDynamoDb), ..self };
        odd.with_detail(format!("the server is not DynamoDB: status {}{kind}", head.status))
    }

    /// Whether the answer had status 200 but lacks the requested content.
    pub fn is_incomplete(&self) -> bool {
        self.oddity == Some(Oddity::Incomplete)
    }

    /// Where the call went.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What the error means.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The error code of the answer, if there was one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The API operation, as `GetRecords`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        self.oddity.map_or_else(|| self.fault.hint(), Oddity::hint)
    }
}

impl Fault {
    fn hint(self) -> &'static str {
        match self {
            Fault::Throttled => {
                "nothing if it passes; otherwise look for another reader of the stream, or raise the table's capacity"
            }
            Fault::ExpiredIterator => "nothing: a new iterator is requested",
            Fault::Trimmed => "records were lost after the 24 hour retention: compare the index with the table",
            Fault::NotFound => "check the table's name, the region and the endpoint in the configuration",
            Fault::Condition => "another process writes to the same group: give each deployment its own state.group",
            Fault::InUse => "nothing if it passes: the table is being created or updated",
            Fault::Transient => {
                "check that something answers at this address, and network and security groups (a private network needs the endpoints of DynamoDB and of DynamoDB Streams)"
            }
            Fault::Credentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile (AWS_PROFILE), or give this machine a role"
            }
            Fault::Denied => {
                "grant the permission that the message names: streamdex iam-policy prints what each command needs"
            }
            Fault::Invalid => "check region, endpoint and names in the configuration",
        }
    }
}

impl Oddity {
    fn hint(self) -> &'static str {
        match self {
            Oddity::Incomplete => {
                "nothing if it passes; otherwise check the emulator or proxy behind endpoint_url: it answers without an error and without content"
            }
            Oddity::NotDynamoDb => {
                "check endpoint_url, host and port: another server, or a proxy in front of DynamoDB, answers"
            }
            Oddity::NotHttp => "write https:// in endpoint_url, or name the port that speaks plain HTTP",
            Oddity::NotTls => "write http:// in endpoint_url, or name the port that speaks TLS",
        }
    }
}

// === impl Head ===

impl Head {
    pub(crate) fn of(answer: &HttpResponse) -> Head {
        let kind = answer.headers().get("content-type").and_then(|kind| kind.split(';').next());
        Head { status: answer.status().as_u16(), kind: kind.map(|kind| kind.trim().to_owned()) }
    }

    /// Answers of DynamoDB are `application/x-amz-json-1.0`; one without a type may be anything.
    fn is_json(&self) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind.contains("json"))
    }
}

fn is_plain_for_tls(cause: &(dyn StdError + 'static)) -> bool {
    use rustls::{Error, InvalidMessage};
    matches!(cause.downcast_ref::<Error>(), Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} failed: ", self.operation, self.place)?;
        match (&self.code, &self.detail) {
            (Some(code), Some(detail)) => write!(f, "{code}: {detail}"),
            (Some(code), None) => f.write_str(code),
            (None, Some(detail)) => f.write_str(detail),
            (None, None) => f.write_str(self.fault.name()),
        }
    }
}

impl StdError for AwsError {}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn each_code_has_its_fault() {
        let rows = [
            ("LimitExceededException", Fault::Throttled),
            ("ThrottlingException", Fault::Throttled),
            ("ProvisionedThroughputExceededException", Fault::Throttled),
            ("ExpiredIteratorException", Fault::ExpiredIterator),
            ("TrimmedDataAccessException", Fault::Trimmed),
            ("ResourceNotFoundException", Fault::NotFound),
            ("InternalServerError", Fault::Transient),
            ("ConditionalCheckFailedException", Fault::Condition),
            ("ResourceInUseException", Fault::InUse),
            ("ContinuousBackupsUnavailableException", Fault::InUse),
            ("ExpiredTokenException", Fault::Credentials),
            ("UnrecognizedClientException", Fault::Credentials),
            ("AccessDeniedException", Fault::Denied),
        ];
        for (code, fault) in rows {
            assert_eq!(Fault::of_code(code), Some(fault), "{code}");
        }
        assert_eq!(Fault::of_code("Shard iterator expired"), None);
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status() {
        use aws_smithy_types::error::ErrorMetadata;
        let unknown = ErrorMetadata::builder().code("BrandNew").message("about the item").build();
        let rows = [
            (400, Fault::Invalid),
            (403, Fault::Denied),
            (429, Fault::Throttled),
            (500, Fault::Transient),
            (503, Fault::Transient),
        ];
        for (status, fault) in rows {
            assert_eq!(AwsError::of_answer("GetRecords", &unknown, &answer(status)).fault(), fault, "{status}");
        }
        let throttled = ErrorMetadata::builder().code("ThrottlingException").message("secret").build();
        assert!(!AwsError::of_answer("GetRecords", &throttled, &answer(400)).to_string().contains("secret"));
    }

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }
}
