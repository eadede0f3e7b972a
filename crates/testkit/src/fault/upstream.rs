//! The upstream behind the rules.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A real node, or none.
#[derive(Debug)]
pub(super) enum Upstream {
    Node { url: String, client: Box<Client<HttpConnector, Full<Bytes>>> },
    Mock,
}

impl Upstream {
    pub(super) fn node(url: &str) -> Self {
        let client = Box::new(Client::builder(TokioExecutor::new()).build_http());
        Self::Node { url: url.trim_end_matches('/').to_owned(), client }
    }
}
