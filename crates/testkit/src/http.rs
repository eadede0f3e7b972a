//! The loop of a small HTTP server, and requests that it hands on.

use std::error::Error;
use std::io;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Answers every request with `handle`, until the runtime ends.
pub(crate) async fn serve<F, E>(
    listener: TcpListener,
    handle: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Result<Response<Full<Bytes>>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // An answer in two small writes would otherwise wait for the client's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                let service = service_fn(handle.clone());
                connections.spawn(async move {
                    // The client may be killed at any moment.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Hands requests on to a real node.
#[derive(Debug)]
pub(crate) struct Forward {
    node: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Forward {
    pub(crate) fn to(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { node: url.trim_end_matches('/').to_owned(), client }
    }

    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> io::Result<Response<Full<Bytes>>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.node).parse().map_err(io::Error::other)?;
        for hop_by_hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            request.headers_mut().remove(hop_by_hop);
        }
        let (mut parts, body) = self.client.request(request).await.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.remove(CONNECTION);
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}
