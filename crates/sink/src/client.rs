//! The one way to OpenSearch: the transport with authentication, TLS and a deadline on every request.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::region::Region;
use bytes::Bytes;
use opensearch::http::Method;
use opensearch::http::headers::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use streamdex_aws::root_cause;
use streamdex_config::{Auth, AwsSettings, Compression, OpenSearch, SigV4Service, is_loopback};
use tokio::time::Instant;
use url::Url;

use crate::auth::{Authentication, BasicAuth, CachedCredentials};
pub use crate::client_error::{ClientError, TlsProblem};
use crate::client_error::{find_io_error, find_tls_problem};
use crate::connection::{Connection, Received, Request, SendError};
use crate::index::flavour::{Flavour, is_serverless};
use crate::retry::AttemptTimes;
use crate::retry_after;
use crate::signing::Signer;
use crate::tls;

/// Keeps bulk answers small. Every item still has an entry, since each has a `status`; positions hold.
const BULK_PATH: &str = concat!(
    "_bulk?filter_path=took,errors,error,status,items.*.status,",
    "items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
);
const USER_AGENT_VALUE: &str = concat!("streamdex/", env!("CARGO_PKG_VERSION"));

/// The part of the client's deadline that the server is given to wait for shards.
const SERVER_PART: u32 = 4;

/// A connection to one OpenSearch endpoint. Cheap to clone; clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    authentication: Authentication,
    timeout: Duration,
    deadline: Mutex<Deadline>,
    url: Url,
    /// Host and port, for messages.
    endpoint: String,
    is_serverless: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Deadline {
    /// By then all work is to be done, retries included.
    until: Option<Instant>,
    times: AttemptTimes,
}

/// An HTTP answer, of whatever status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; JSON where OpenSearch itself answered.
    pub body: Bytes,
    /// `Retry-After` as the server sent it; the caller limits it.
    pub retry_after: Option<Duration>,
}

/// Whether a bulk body is compressed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// As it is.
    Identity,
    /// `Content-Encoding: gzip`.
    Gzip,
}

// === impl Client ===

impl Client {
    /// Makes a client. Nothing is sent to OpenSearch; credentials are read when first needed, only the
    /// signing region may be asked of the SDK's chain.
    ///
    /// # Errors
    /// [`ClientError::Build`], [`ClientError::CaFile`], or [`ClientError::Auth`] where no region is found.
    pub async fn connect(settings: &OpenSearch, aws: &AwsSettings) -> Result<Client, ClientError> {
        match &settings.auth {
            Auth::None => Client::build(settings, Authentication::None, None),
            Auth::Basic { username, password } => {
                let basic = BasicAuth::new(username, password);
                Client::build(settings, Authentication::Basic(basic), None)
            }
            Auth::SigV4 { service, region, aws: own } => {
                let chosen = if *own == AwsSettings::default() { aws } else { own };
                let (credentials, region) = CachedCredentials::from_settings(chosen, region.as_deref()).await?;
                Client::build(settings, Authentication::Signed(credentials), Some((*service, region)))
            }
        }
    }

    /// Makes a client that signs with credentials of the caller's, whatever `settings.auth` says of them.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn with_credentials(
        settings: &OpenSearch,
        provider: SharedCredentialsProvider,
        service: SigV4Service,
        region: &str,
    ) -> Result<Client, ClientError> {
        let credentials = CachedCredentials::from_provider(provider);
        let signing = (service, Region::new(region.to_owned()));
        Client::build(settings, Authentication::Signed(credentials), Some(signing))
    }

    fn build(
        settings: &OpenSearch,
        authentication: Authentication,
        signing: Option<(SigV4Service, Region)>,
    ) -> Result<Client, ClientError> {
        let signer = signing.map(|(service, region)| Signer { service, region });
        let connection = connection(settings, signer)?;
        let (timeout, url) = (settings.request_timeout, settings.url.clone());
        let (endpoint, is_serverless) = (endpoint_of(&url), is_serverless(settings));
        let deadline = Mutex::default();
        Ok(Client(Arc::new(Inner { connection, authentication, timeout, deadline, url, endpoint, is_serverless })))
    }

    /// From now on all work, retries included, is to be done by `until`: each request has a share of the time that is
    /// left, and never more than the configured deadline. For all clones.
    pub fn work_until(&self, until: Option<Instant>) {
        self.deadline().until = until;
    }

    fn deadline(&self) -> MutexGuard<'_, Deadline> {
        self.0.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the next request may take.
    fn limit(&self) -> Duration {
        let Deadline { until, times } = *self.deadline();
        let share = until.map(|until| times.limit(until.saturating_duration_since(Instant::now())));
        share.map_or(self.0.timeout, |share| share.min(self.0.timeout))
    }

    /// Host and port of the endpoint, for messages.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0.url
    }

    /// Sends an administrative request. `path` may carry a query string. Where the credentials are
    /// refused, they are read again and the request is sent once more.
    ///
    /// # Errors
    /// Only where there is no answer; an answer of any status is `Ok`.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, ClientError> {
        let body = match body {
            None => None,
            Some(value) => Some(Bytes::from(serde_json::to_vec(value).map_err(|error| self.unreadable(&error))?)),
        };
        let answer = self.send(method, path, HeaderMap::new(), body.clone()).await?;
        if !self.can_refresh() || !matches!(answer.status, 401 | 403) {
            return Ok(answer);
        }
        self.refresh_credentials();
        self.send(method, path, HeaderMap::new(), body).await
    }

    /// Sends one bulk request: NDJSON that ends in a line break, compressed by the caller or not.
    ///
    /// # Errors
    /// Only where there is no answer. Unless the error is of [`ClientError::Auth`], whether the request
    /// was carried out is unknown.
    pub async fn bulk(&self, body: Bytes, encoding: BodyEncoding) -> Result<Answer, ClientError> {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        if encoding == BodyEncoding::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let path = bulk_path(self.limit(), self.0.is_serverless);
        self.send(Method::Post, &path, headers, Some(body)).await
    }

    /// Asks for what every user may ask, to see whether there is an answer; a refusal is one too. Credentials are
    /// taken as they are.
    ///
    /// # Errors
    /// Only where there is no answer.
    pub async fn ping(&self) -> Result<Answer, ClientError> {
        self.send(Method::Get, "", HeaderMap::new(), None).await
    }

    /// Whether an answer to [`Client::ping`] can be OpenSearch's: it says its version, or that these credentials may not
    /// know it, or that it does not know them. Serverless, which does not answer the question, says anything.
    pub fn is_opensearch(&self, answer: &Answer) -> bool {
        self.0.is_serverless
            || answer.status == 401
            || Flavour::read(answer.status, &answer.json().unwrap_or_default()).is_some()
    }

    /// Forgets password or signing credentials, so that the next request reads them again.
    pub fn refresh_credentials(&self) {
        match &self.0.authentication {
            Authentication::None => {}
            Authentication::Basic(basic) => basic.forget(),
            Authentication::Signed(credentials) => credentials.forget(),
        }
    }

    fn can_refresh(&self) -> bool {
        !matches!(self.0.authentication, Authentication::None)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, ClientError> {
        // The transport's own deadline does not cover the credentials provider.
        let exchange = Box::pin(self.exchange(method, path, headers, body));
        let (limit, began) = (self.limit(), Instant::now());
        let result = tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(self.timed_out(limit)));
        match &result {
            Ok(_) => self.deadline().times.answered(began.elapsed()),
            Err(ClientError::TimedOut { .. }) => self.deadline().times.unanswered(),
            Err(_) => {}
        }
        result
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, ClientError> {
        let mut credentials = None;
        match &self.0.authentication {
            Authentication::None => {}
            Authentication::Basic(basic) => {
                headers.insert(AUTHORIZATION, basic.header().await?);
            }
            Authentication::Signed(cached) => credentials = Some(cached.get().await?),
        }
        let sent = self.0.connection.send(Request { method, path, headers, body, credentials }).await;
        let Received { status, headers, body } = sent.map_err(|error| self.explain(&error))?;
        Ok(Answer { status, body, retry_after: retry_after(&headers) })
    }

    fn timed_out(&self, after: Duration) -> ClientError {
        ClientError::TimedOut { endpoint: self.0.endpoint.clone(), after }
    }

    fn unreadable(&self, error: &serde_json::Error) -> ClientError {
        let reason = format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column());
        ClientError::Json { endpoint: self.0.endpoint.clone(), reason }
    }

    fn explain(&self, error: &SendError) -> ClientError {
        let endpoint = self.0.endpoint.clone();
        if error.is_timeout() {
            return self.timed_out(self.0.timeout);
        }
        let unsendable = error.is_unsendable();
        let error = error.cause();
        if unsendable {
            return not_built(error);
        }
        if let Some(problem) = find_tls_problem(error) {
            return ClientError::Tls { endpoint, problem };
        }
        let root = root_cause(error);
        let reason = root.to_string();
        let kind = find_io_error(error).map(std::io::Error::kind);
        match kind {
            Some(
                std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::ConnectionAborted
                | std::io::ErrorKind::BrokenPipe
                | std::io::ErrorKind::UnexpectedEof,
            ) => ClientError::Interrupted { endpoint, reason },
            Some(_) => ClientError::Unreachable { endpoint, reason },
            // hyper's own errors (an answer cut short, no HTTP) have no I/O error inside.
            None => ClientError::Interrupted { endpoint, reason },
        }
    }
}

impl Answer {
    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// It is none, or none of that shape.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// The connection. Where `opensearch.ca_file` is given, it trusts the certificates of that file, a server's own too.
fn connection(settings: &OpenSearch, signer: Option<Signer>) -> Result<Connection, ClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT_VALUE)
        .timeout(settings.request_timeout)
        // A page elsewhere is no answer of OpenSearch's, and what is sent is for nobody else.
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(&settings.url) {
        builder = builder.no_proxy();
    }
    if settings.compression == Compression::None {
        builder = builder.no_gzip();
    }
    if let Some(path) = &settings.ca_file {
        let named = tls::read_certificates(&read_ca_file(path)?).map_err(|reason| unusable(path, reason))?;
        let config = tls::trusting(named).map_err(|error| unusable(path, error.to_string()))?;
        builder = builder.tls_backend_preconfigured(config);
    } else if !settings.tls_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    let client = builder.build().map_err(|error| not_built(&error))?;
    Ok(Connection::new(client, &settings.url, signer))
}

/// Items of a red index are answered after this part of the deadline, so that the request is answered at all.
/// Serverless has no shards to wait for, and does not document the parameter.
fn bulk_path(request_timeout: Duration, is_serverless: bool) -> String {
    if is_serverless {
        return BULK_PATH.to_owned();
    }
    let wait = (request_timeout / SERVER_PART).max(Duration::from_millis(1));
    format!("{BULK_PATH}&timeout={}ms", wait.as_millis())
}

fn read_ca_file(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|error| unusable(path, error.to_string()))
}

fn unusable(path: &Path, reason: String) -> ClientError {
    ClientError::CaFile { path: path.to_owned(), reason }
}

fn not_built(error: &(dyn std::error::Error + 'static)) -> ClientError {
    ClientError::Build { reason: root_cause(error).to_string() }
}

fn endpoint_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after::parse(headers.get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulk_request_gives_the_server_a_quarter_of_the_deadline() {
        assert!(bulk_path(Duration::from_secs(60), false).ends_with("&timeout=15000ms"));
        assert!(bulk_path(Duration::from_millis(1), false).ends_with("&timeout=1ms"));
        assert!(!bulk_path(Duration::from_secs(60), true).contains("timeout="));
    }

    #[test]
    fn messages_name_the_host_and_port() {
        let endpoint = |text: &str| endpoint_of(&Url::parse(text).unwrap());
        assert_eq!(endpoint("https://search.example/path"), "search.example:443");
        assert_eq!(endpoint("http://[::1]:9200"), "[::1]:9200");
    }
}
