//! One call to DynamoDB: its endpoint, the time of the answer, and whether the answer is complete.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, Region, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use http_body_util::BodyExt;
use streamdex_aws::root_cause;
use tokio::time::timeout;

use crate::fault::{AwsError, Fault, Head};
use crate::place::Place;
use crate::time::parse_date;

/// One call. It is an interceptor of that call alone: `.customize().interceptor(call.clone())`.
#[derive(Debug, Clone)]
pub struct Call {
    operation: &'static str,
    seen: Arc<Mutex<Seen>>,
    /// The body is wanted as it came.
    raw: bool,
}

/// What was seen of the last attempt.
#[derive(Debug, Default)]
struct Seen {
    region: Option<String>,
    uri: Option<String>,
    date: Option<u64>,
    head: Head,
    body: Option<SdkBody>,
}

/// For the body of one answer, of 16 MB at most.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

// === impl Call ===

impl Call {
    /// A call of the API operation, as `GetRecords`.
    pub fn of(operation: &'static str) -> Call {
        Call { operation, seen: Arc::default(), raw: false }
    }

    /// The same, whose answer is read with [`Call::body`]: the SDK sees an empty object in its place, and makes an empty
    /// output of that. What the service refuses is left to the SDK. Only for a single call without a paginator.
    #[must_use]
    pub fn raw(self) -> Call {
        Call { raw: true, ..self }
    }

    /// The body of the answer, which had status 2xx. No body says as much as an empty object.
    ///
    /// # Errors
    /// It breaks off, or takes too long. The call is to be made again.
    pub async fn body(&self) -> Result<Bytes, AwsError> {
        let body = self.seen().body.take().unwrap_or_else(SdkBody::empty);
        let body = timeout(BODY_DEADLINE, body.collect()).await.map_err(|_| "it stalls".to_owned());
        let body = body.and_then(|body| body.map_err(|error| root_cause(&*error).to_string()));
        let body =
            body.map_err(|what| self.fault(Fault::Transient).with_detail(format!("the answer breaks off: {what}")))?;
        let body = body.to_bytes();
        Ok(if body.trim_ascii().is_empty() { Bytes::from_static(b"{}") } else { body })
    }

    /// The error of a body that cannot be read. The call is repeated, since proxies also answer with status 200. `what`
    /// contains no values.
    pub fn unreadable(&self, what: &impl ToString) -> AwsError {
        self.fault(Fault::Transient).unreadable(&self.seen().head, &what.to_string())
    }

    /// What a failure of it means.
    pub fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        AwsError::from_sdk(self.operation, error).at(self.place())
    }

    /// A failure outside of the SDK, such as a deadline.
    pub fn fault(&self, fault: Fault) -> AwsError {
        AwsError::new(fault, self.operation).at(self.place())
    }

    /// The answer has status 200 and lacks `part`. This never proves that the part does not exist: emulators, proxies
    /// and gateways send such answers, and an empty body looks like `{}`. The call is to be made again.
    pub fn lacks(&self, part: &str) -> AwsError {
        self.fault(Fault::Transient).incomplete(part)
    }

    /// Checks that DynamoDB answered. The complete answer of a write, or of a GetItem that finds nothing, can be `{}`.
    /// So such calls request the consumed capacity, which a server that did nothing does not report.
    ///
    /// # Errors
    /// The answer holds no consumed capacity.
    pub fn proven(&self, capacity: Option<&ConsumedCapacity>) -> Result<(), AwsError> {
        capacity.map(drop).ok_or_else(|| self.lacks("ConsumedCapacity"))
    }

    /// The `Date` header of the answer, in seconds since 1970; `None` where the service sends none.
    pub fn date(&self) -> Option<u64> {
        self.seen().date
    }

    /// Where it went.
    pub fn place(&self) -> Place {
        let seen = self.seen();
        match (&seen.uri, &seen.region) {
            (Some(uri), region) => Place::of_uri(uri, region.as_deref()),
            (None, Some(region)) => Place::of_region(region),
            (None, None) => Place::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Call {
    fn name(&self) -> &'static str {
        "Call"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.seen().region = configuration.load::<Region>().map(ToString::to_string);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.seen().uri = Some(context.request().uri().to_owned());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        let mut seen = self.seen();
        seen.date = answer.headers().get("date").and_then(parse_date);
        seen.head = Head::of(answer);
        // Body and date are of one attempt, the last one.
        seen.body = None;
        if self.raw && answer.status().is_success() {
            seen.body = Some(std::mem::replace(answer.body_mut(), SdkBody::from("{}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_lacks_is_named_and_can_pass() {
        let error = Call::of("Query").lacks("Items");
        assert!(error.fault().passes_by_itself() && error.is_incomplete());
        assert_eq!(Call::of("GetItem").place(), Place::default());
        assert_eq!(error.to_string(), "Query failed: the answer has status 200 but lacks `Items`");
        assert!(Call::of("PutItem").proven(None).unwrap_err().is_incomplete());
        assert!(Call::of("PutItem").proven(Some(&ConsumedCapacity::builder().build())).is_ok());
    }
}
