//! The connection to the endpoint: one HTTP client, which signs requests if configured.
//!
//! It replaces the transport of the `opensearch` crate, which accepts neither a verifier of certificates
//! ([`crate::tls`]) nor a policy for redirects: that transport follows redirects, with the body, to any host.

use std::error::Error;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use bytes::Bytes;
use opensearch::http::Method;
use opensearch::http::headers::{
    ACCEPT, CONTENT_TYPE, DEFAULT_ACCEPT, DEFAULT_CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use url::Url;

use crate::signing::{Signer, SigningError};

/// A way to send one request.
#[derive(Debug)]
pub(crate) struct Connection {
    client: reqwest::Client,
    /// Ends in a slash, so that paths are joined to it.
    url: Url,
    signer: Option<Signer>,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// To sign with.
    pub(crate) credentials: Option<Credentials>,
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Path(#[from] url::ParseError),
}

// === impl Connection ===

impl Connection {
    pub(crate) fn new(client: reqwest::Client, url: &Url, signer: Option<Signer>) -> Connection {
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Connection { client, url, signer }
    }

    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Received, SendError> {
        let Request { method, path, headers, body, credentials } = request;
        let url = self.url.join(path.trim_start_matches('/'))?;
        let standard: [(HeaderName, HeaderValue); 2] = [
            (CONTENT_TYPE, HeaderValue::from_static(DEFAULT_CONTENT_TYPE)),
            (ACCEPT, HeaderValue::from_static(DEFAULT_ACCEPT)),
        ];
        let mut all: HeaderMap = standard.into_iter().collect();
        all.extend(headers);
        let mut builder = self.client.request(method_of(method), url).headers(all);
        if let Some(body) = body {
            builder = builder.body(body);
        }
        let mut request = builder.build()?;
        if let (Some(signer), Some(credentials)) = (&self.signer, credentials) {
            signer.sign(&mut request, credentials, SystemTime::now())?;
        }
        let response = self.client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Received { status, headers, body: response.bytes().await? })
    }
}

fn method_of(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Put => reqwest::Method::PUT,
        Method::Post => reqwest::Method::POST,
        Method::Delete => reqwest::Method::DELETE,
        Method::Head => reqwest::Method::HEAD,
    }
}

// === impl SendError ===

impl SendError {
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, SendError::Http(error) if error.is_timeout())
    }

    /// Nothing was sent, and the same request will not be.
    pub(crate) fn is_unsendable(&self) -> bool {
        matches!(self, SendError::Signing(_) | SendError::Path(_))
    }

    pub(crate) fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            SendError::Http(error) => error,
            SendError::Signing(error) => error,
            SendError::Path(error) => error,
        }
    }
}
