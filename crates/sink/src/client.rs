//! The one way to OpenSearch: the transport with authentication, TLS and a deadline on every request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::region::Region;
use bytes::Bytes;
use opensearch::auth::Credentials;
use opensearch::cert::{Certificate, CertificateValidation};
use opensearch::http::Method;
use opensearch::http::headers::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use streamdex_aws::root_cause;
use streamdex_config::{Auth, AwsSettings, OpenSearch, SigV4Service, is_loopback};
use url::Url;

use crate::auth::{Authentication, BasicAuth, CachedCredentials};
pub use crate::client_error::{ClientError, TlsProblem};
use crate::client_error::{find_io_error, find_tls_problem};

/// Keeps bulk answers small. Every item still has an entry, since each has a `status`; positions hold.
const BULK_PATH: &str = concat!(
    "_bulk?filter_path=took,errors,error,status,items.*.status,items.*.result,",
    "items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
);
const USER_AGENT_VALUE: &str = concat!("streamdex/", env!("CARGO_PKG_VERSION"));

/// A connection to one OpenSearch endpoint. Cheap to clone; clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    authentication: Authentication,
    timeout: Duration,
    /// Host and port, for messages.
    endpoint: String,
}

/// An HTTP answer, of whatever status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; JSON where OpenSearch itself answered.
    pub body: Bytes,
    /// `Retry-After`, where it was given in seconds.
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
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(settings.url.clone()))
            .timeout(settings.request_timeout)
            .header(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        if is_loopback(&settings.url) {
            builder = builder.disable_proxy();
        }
        if let Some(path) = &settings.ca_file {
            builder = builder.cert_validation(CertificateValidation::Full(read_authority(path)?));
        } else if !settings.tls_verify {
            builder = builder.cert_validation(CertificateValidation::None);
        }
        if let (Authentication::Signed(credentials), Some((service, region))) = (&authentication, signing) {
            let provider = SharedCredentialsProvider::new(credentials.clone());
            let name = match service {
                SigV4Service::Es => "es",
                SigV4Service::Aoss => "aoss",
            };
            builder = builder.auth(Credentials::AwsSigV4(provider, region)).service_name(name);
        }
        let transport =
            builder.build().map_err(|error| ClientError::Build { reason: root_cause(&error).to_string() })?;
        let endpoint = endpoint_of(&settings.url);
        Ok(Client(Arc::new(Inner { transport, authentication, timeout: settings.request_timeout, endpoint })))
    }

    /// Host and port of the endpoint, for messages.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Sends an administrative request. `path` may carry a query string. Where the credentials are
    /// refused, they are read anew and the request is sent once more.
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
        self.send(Method::Post, BULK_PATH, headers, Some(body)).await
    }

    /// Asks for what every user may ask, to see whether there is an answer; a refusal is one too. Credentials are
    /// taken as they are.
    ///
    /// # Errors
    /// Only where there is no answer.
    pub async fn ping(&self) -> Result<Answer, ClientError> {
        self.send(Method::Get, "", HeaderMap::new(), None).await
    }

    /// Forgets password or signing credentials, so that the next request reads them anew.
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
        match tokio::time::timeout(self.0.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, ClientError> {
        match &self.0.authentication {
            Authentication::None => {}
            Authentication::Basic(basic) => {
                headers.insert(AUTHORIZATION, basic.header()?);
            }
            // Asked here, so that a failing provider is told apart from a failing connection.
            Authentication::Signed(credentials) => {
                credentials.get().await?;
            }
        }
        let sent = self.0.transport.send(method, path, headers, None::<&()>, body, None).await;
        let response = sent.map_err(|error| self.explain(&error))?;
        let status = response.status_code().as_u16();
        let retry_after = retry_after(response.headers());
        let body = response.bytes().await.map_err(|error| self.explain(&error))?;
        Ok(Answer { status, body, retry_after })
    }

    fn timed_out(&self) -> ClientError {
        ClientError::TimedOut { endpoint: self.0.endpoint.clone(), after: self.0.timeout }
    }

    fn unreadable(&self, error: &serde_json::Error) -> ClientError {
        let reason = format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column());
        ClientError::Json { endpoint: self.0.endpoint.clone(), reason }
    }

    fn explain(&self, error: &opensearch::Error) -> ClientError {
        let endpoint = self.0.endpoint.clone();
        if error.is_timeout() {
            return self.timed_out();
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

fn read_authority(path: &PathBuf) -> Result<Certificate, ClientError> {
    let refuse = |reason: String| ClientError::CaFile { path: path.clone(), reason };
    let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    Certificate::from_pem(&pem).map_err(|error| refuse(root_cause(&error).to_string()))
}

fn endpoint_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    // The form with a date is not sent by OpenSearch or AWS.
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_taken_in_seconds_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static(" 7 "));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), None);
    }

    #[test]
    fn messages_name_the_host_and_port() {
        let endpoint = |text: &str| endpoint_of(&Url::parse(text).unwrap());
        assert_eq!(endpoint("https://search.example/path"), "search.example:443");
        assert_eq!(endpoint("http://[::1]:9200"), "[::1]:9200");
    }
}
