//! HTTP around the answers: one request a connection, each with a deadline, and places that probes alone take.

mod places;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::places::{Place, Places};
use super::Boards;
use super::metrics::{Form, exposition};
use super::report::Report;
use super::snapshot::Snapshot;

/// Probes, metrics and status over HTTP.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What is answered.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: String,
}

/// Connections that have not asked for anything yet.
const ARRIVING: usize = 64;
/// Connections that are answered, probes aside.
const ANSWERED: usize = 64;
/// Connections of `/livez` and `/readyz`, which nothing else takes a place from.
const PROBES: usize = 16;
const HEADERS_WITHIN: Duration = Duration::from_secs(2);
const OVER_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_HEADERS: usize = 16 * 1024;
/// After a failed accept, as where no file descriptor is left.
const BREATHE: Duration = Duration::from_millis(200);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

// === impl Server ===

impl Server {
    /// Listens; port 0 picks a free one.
    ///
    /// # Errors
    /// The address is taken, or is not one of this machine.
    pub async fn bind(address: SocketAddr) -> Result<Server, ServeError> {
        let refused = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Server { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped; connections are closed then.
    pub async fn run(self, boards: Boards) {
        let rooms = Rooms::default();
        let mut connections = JoinSet::new();
        loop {
            let accepted = self.listener.accept().await;
            // What is over is let go of here, so that the set stays small.
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    let connection = Connection::arriving(&rooms);
                    connections.spawn(connection.serve(stream, boards.clone(), rooms.clone()));
                }
                Err(error) => {
                    tracing::debug!("a connection was not accepted: {error}");
                    sleep(BREATHE).await;
                }
            }
        }
    }
}

/// The places of all connections.
#[derive(Debug, Clone)]
struct Rooms {
    arriving: Places,
    answered: Places,
    probes: Places,
}

/// One connection, and the place that it has now.
#[derive(Debug)]
struct Connection {
    close: CancellationToken,
    place: Mutex<Place>,
}

// === impl Rooms, Connection ===

impl Default for Rooms {
    fn default() -> Rooms {
        Rooms { arriving: Places::new(ARRIVING), answered: Places::new(ANSWERED), probes: Places::new(PROBES) }
    }
}

impl Rooms {
    fn for_path(&self, path: &str) -> &Places {
        if matches!(path, "/livez" | "/readyz") { &self.probes } else { &self.answered }
    }
}

impl Connection {
    fn arriving(rooms: &Rooms) -> Connection {
        let close = CancellationToken::new();
        let place = Mutex::new(rooms.arriving.enter(&close));
        Connection { close, place }
    }

    /// It asks for something, and leaves its place among those that do not.
    fn asks(&self, places: &Places) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = places.enter(&self.close);
    }

    async fn serve(self, stream: TcpStream, boards: Boards, rooms: Rooms) {
        let _ = stream.set_nodelay(true);
        let connection = &self;
        let service = service_fn(move |request: Request<Incoming>| {
            connection.asks(rooms.for_path(request.uri().path()));
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
            let answer = answer(request.method(), request.uri().path(), accept, &Arc::new(boards.snapshot()));
            std::future::ready(Ok::<_, Infallible>(answer.into_response()))
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .keep_alive(false)
            .max_buf_size(LARGEST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        // A client that goes away, or is too slow, is its own problem.
        tokio::select! {
            () = self.close.cancelled() => {}
            _ = timeout(OVER_WITHIN, Box::pin(served)) => {}
        }
    }
}

// === impl ServeError ===

impl ServeError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            ServeError::Listen { .. } => {
                "give a free port on an address of this machine as --listen, STREAMDEX_LISTEN or http.listen, or none of them"
            }
        }
    }
}

// === impl Answer ===

/// Pure: what a request gets at this moment.
fn answer(method: &Method, path: &str, accept: Option<&str>, snapshot: &Arc<Snapshot>) -> Answer {
    if !matches!(path, "/livez" | "/readyz" | "/metrics" | "/status") {
        let body = "there are /livez, /readyz, /metrics and /status\n".to_owned();
        return Answer { status: StatusCode::NOT_FOUND, content_type: TEXT, body };
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let body = "GET and HEAD\n".to_owned();
        return Answer { status: StatusCode::METHOD_NOT_ALLOWED, content_type: TEXT, body };
    }
    match path {
        "/livez" => Answer::of_probe(&snapshot.dead(), &[]),
        "/readyz" => Answer::of_probe(&snapshot.unready(), &snapshot.notes()),
        "/metrics" => {
            let form = Form::accepted(accept);
            Answer::of(exposition(snapshot, form).ok(), form.content_type())
        }
        _ => Answer::of(serde_json::to_string(&Report::of(snapshot)).ok().map(|json| json + "\n"), JSON),
    }
}

impl Answer {
    /// `ok`, or a line for each reason; then a line for each note.
    fn of_probe(reasons: &[String], notes: &[String]) -> Answer {
        let (status, first) = match reasons {
            [] => (StatusCode::OK, Some("ok\n".to_owned())),
            _ => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        let lines = reasons.iter().chain(notes).map(|line| format!("{line}\n"));
        Answer { status, content_type: TEXT, body: first.into_iter().chain(lines).collect() }
    }

    fn of(body: Option<String>, content_type: &'static str) -> Answer {
        match body {
            Some(body) => Answer { status: StatusCode::OK, content_type, body },
            None => Answer { status: StatusCode::INTERNAL_SERVER_ERROR, content_type: TEXT, body: String::new() },
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
