//! What a failed AWS call means, told by its error code and never by its text.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use streamdex_aws::{causes, root_cause};

/// What a failed call means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Too many calls; slower, the same again. `LimitExceededException` is one of these, and the SDK
    /// does not retry it by itself.
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
    code: Option<String>,
    detail: Option<String>,
}

// === impl Fault ===

impl Fault {
    /// The fault that an error code of DynamoDB, DynamoDB Streams or STS stands for.
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
            "ResourceInUseException" => Fault::InUse,
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

    /// Whether the same call can succeed later without anybody changing anything.
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
        AwsError { fault, operation, code: None, detail: None }
    }

    /// The same with a sentence for the operator. The sentence must hold no item data.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> AwsError {
        self.detail = Some(detail.into());
        self
    }

    /// Classifies what the SDK answered.
    pub fn from_sdk<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let SdkError::ServiceError(answer) = error {
            return AwsError::of_answer(operation, answer.err(), answer.raw().status().as_u16());
        }
        if let Some(credentials) = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
            let detail = root_cause(credentials).to_string();
            return AwsError { fault: Fault::Credentials, operation, code: None, detail: Some(detail) };
        }
        let fault = match error {
            SdkError::ConstructionFailure(_) => Fault::Invalid,
            SdkError::DispatchFailure(failure) if failure.is_user() => Fault::Invalid,
            _ => Fault::Transient,
        };
        AwsError { fault, operation, code: None, detail: Some(root_cause(error).to_string()) }
    }

    fn of_answer<E: ProvideErrorMetadata>(operation: &'static str, error: &E, status: u16) -> AwsError {
        let by_status = match status {
            429 => Fault::Throttled,
            500.. => Fault::Transient,
            401 => Fault::Credentials,
            403 => Fault::Denied,
            _ => Fault::Invalid,
        };
        let fault = error.code().and_then(Fault::of_code).unwrap_or(by_status);
        // Messages of the other faults can quote what was sent; these name resources and principals.
        let quotable = matches!(fault, Fault::Denied | Fault::NotFound | Fault::Credentials | Fault::Invalid);
        let detail = error.message().filter(|_| quotable).map(str::to_owned);
        AwsError { fault, operation, code: error.code().map(str::to_owned), detail }
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
        match self.fault {
            Fault::Throttled => {
                "nothing to do if it passes; else look for another reader of the same stream or raise the table's capacity"
            }
            Fault::ExpiredIterator => "nothing to do: a new iterator is asked for",
            Fault::Trimmed => "records were lost to the 24 hour retention: compare the index with the table",
            Fault::NotFound => "check the table's name, the region and the endpoint in the configuration",
            Fault::Condition => "another process writes to the same group: give each deployment its own state.group",
            Fault::InUse => "nothing to do if it passes: the table is being created or changed",
            Fault::Transient => {
                "check that the endpoint can be reached from here (a private network needs the DynamoDB Streams interface endpoint)"
            }
            Fault::Credentials => "check the credentials: environment, profile, or role_arn in the configuration",
            Fault::Denied => "grant the role the permission that the message names",
            Fault::Invalid => "check region, endpoint and names in the configuration",
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: ", self.operation)?;
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
            assert_eq!(AwsError::of_answer("GetRecords", &unknown, status).fault(), fault, "{status}");
        }
        let throttled = ErrorMetadata::builder().code("ThrottlingException").message("secret").build();
        assert!(!AwsError::of_answer("GetRecords", &throttled, 400).to_string().contains("secret"));
    }
}
