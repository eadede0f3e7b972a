//! The connections to the endpoint: the `opensearch` crate's, and one of our own where a file names whom to trust.
//!
//! The crate's transport takes no verifier of certificates, and a server's own certificate needs one ([`crate::tls`]).
//! Signed requests always go over the crate's transport, which signs them.

use std::error::Error;

use bytes::Bytes;
use opensearch::http::Method;
use opensearch::http::headers::{
    ACCEPT, CONTENT_TYPE, DEFAULT_ACCEPT, DEFAULT_CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use opensearch::http::transport::Transport;
use url::Url;

/// A way to send one request.
#[derive(Debug)]
pub(crate) enum Connection {
    /// The `opensearch` crate's.
    Transport(Transport),
    /// With certificates of a file.
    Named(Named),
}

/// Trusts what `opensearch.ca_file` names.
#[derive(Debug)]
pub(crate) struct Named {
    client: reqwest::Client,
    /// Ends in a slash, so that paths are joined to it.
    url: Url,
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    Transport(opensearch::Error),
    Named(reqwest::Error),
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Received, SendError> {
        match self {
            Connection::Transport(transport) => {
                let sent = transport.send(method, path, headers, None::<&()>, body, None).await;
                let response = sent.map_err(SendError::Transport)?;
                let (status, headers) = (response.status_code().as_u16(), response.headers().clone());
                let body = response.bytes().await.map_err(SendError::Transport)?;
                Ok(Received { status, headers, body })
            }
            Connection::Named(named) => named.send(method, path, headers, body).await.map_err(SendError::Named),
        }
    }
}

impl Named {
    pub(crate) fn new(client: reqwest::Client, url: &Url) -> Named {
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Named { client, url }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Received, reqwest::Error> {
        // A path that cannot be joined is sent to the endpoint itself, which refuses it; ours always can.
        let url = self.url.join(path.trim_start_matches('/')).unwrap_or_else(|_| self.url.clone());
        let standard: [(HeaderName, HeaderValue); 2] = [
            (CONTENT_TYPE, HeaderValue::from_static(DEFAULT_CONTENT_TYPE)),
            (ACCEPT, HeaderValue::from_static(DEFAULT_ACCEPT)),
        ];
        let mut all: HeaderMap = standard.into_iter().collect();
        all.extend(headers);
        let mut request = self.client.request(method_of(method), url).headers(all);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
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
        match self {
            SendError::Transport(error) => error.is_timeout(),
            SendError::Named(error) => error.is_timeout(),
        }
    }

    pub(crate) fn cause(&self) -> &(dyn Error + 'static) {
        match self {
            SendError::Transport(error) => error,
            SendError::Named(error) => error,
        }
    }
}
