//! The HTTP server: one request per connection, each with a deadline, and with slots reserved for probes and for waits.

mod answer;
mod awaits;
mod places;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::answer::{Answer, HTML, JSON};
pub use self::awaits::{AwaitAnswer, Awaits, LONGEST_AWAIT};
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

/// Connections that have not asked for anything yet.
const ARRIVING: usize = 64;
/// Connections that are answered, probes aside.
const ANSWERED: usize = 64;
/// Connections of `/livez` and `/readyz`, which nothing else takes a place from.
const PROBES: usize = 16;
/// Connections of `/await`, which last long.
const WAITING: usize = 64;
const HEADERS_WITHIN: Duration = Duration::from_secs(2);
const OVER_WITHIN: Duration = Duration::from_secs(10);
const LARGEST_HEADERS: usize = 16 * 1024;
/// After a failed accept, as where no file descriptor is left.
const BREATHE: Duration = Duration::from_millis(200);

const AWAIT: &str = "/await";
/// The page is one file: what it shows it asks of `/status`, and of nobody else.
const PAGE: &str = include_str!("page.html");

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

    /// Serves until it is dropped; connections are closed then. Without `awaits` there is no `/await`.
    pub async fn run(self, boards: Boards, awaits: Option<Arc<dyn Awaits>>) {
        let served = Served { boards, awaits, rooms: Rooms::default() };
        let mut connections = JoinSet::new();
        loop {
            let accepted = self.listener.accept().await;
            // What is over is let go of here, so that the set stays small.
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    let connection = Connection::arriving(&served.rooms);
                    connections.spawn(connection.serve(stream, served.clone()));
                }
                Err(error) => {
                    tracing::debug!("a connection was not accepted: {error}");
                    sleep(BREATHE).await;
                }
            }
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Served {
    boards: Boards,
    awaits: Option<Arc<dyn Awaits>>,
    rooms: Rooms,
}

/// The places of all connections.
#[derive(Debug, Clone)]
struct Rooms {
    arriving: Places,
    answered: Places,
    probes: Places,
    waiting: Places,
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
        let [arriving, answered, probes, waiting] = [ARRIVING, ANSWERED, PROBES, WAITING].map(Places::new);
        Rooms { arriving, answered, probes, waiting }
    }
}

impl Rooms {
    fn for_path(&self, path: &str) -> &Places {
        match path {
            "/livez" | "/readyz" => &self.probes,
            _ => &self.answered,
        }
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

    /// It leaves its place for one where it stays as long as it wants; false where there is none.
    fn stays(&self, places: &Places) -> bool {
        let place = places.enter_if_free(&self.close);
        let has_room = place.is_some();
        if let Some(place) = place {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
        }
        has_room
    }

    async fn serve(self, stream: TcpStream, served: Served) {
        let _ = stream.set_nodelay(true);
        let (connection, waits) = (&self, &AtomicBool::new(false));
        let served = &served;
        let service = service_fn(move |request: Request<Incoming>| async move {
            let path = request.uri().path();
            connection.asks(served.rooms.for_path(path));
            let answer = if path == AWAIT {
                // One that waits is not sent away for a newcomer: the newcomer is.
                let waits = || {
                    let has_room = connection.stays(&served.rooms.waiting);
                    waits.store(has_room, Ordering::Relaxed);
                    has_room
                };
                awaits::answer(served.awaits.clone(), request, waits).await
            } else {
                let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
                answer(request.method(), path, accept, &Arc::new(served.boards.snapshot()))
            };
            Ok::<_, Infallible>(answer.into_response())
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .keep_alive(false)
            .max_buf_size(LARGEST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let is_over = async {
            sleep(OVER_WITHIN).await;
            if waits.load(Ordering::Relaxed) {
                sleep(LONGEST_AWAIT).await;
            }
        };
        // A client that goes away, or is too slow, is its own problem.
        tokio::select! {
            () = self.close.cancelled() => {}
            () = is_over => {}
            _ = Box::pin(served) => {}
        }
    }
}

// === impl ServeError ===

impl ServeError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            ServeError::Listen { .. } => {
                "give --listen, STREAMDEX_LISTEN or http.listen an address of this machine with a free port, or omit it"
            }
        }
    }
}

// === impl Answer ===

/// Pure: what a request gets at this moment.
fn answer(method: &Method, path: &str, accept: Option<&str>, snapshot: &Arc<Snapshot>) -> Answer {
    if !matches!(path, "/" | "/livez" | "/readyz" | "/metrics" | "/status") {
        return Answer::text(
            StatusCode::NOT_FOUND,
            "the paths are /, /livez, /readyz, /metrics, /status and, if it is turned on, POST /await",
        );
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Answer::only("GET, HEAD");
    }
    match path {
        "/" => Answer::of(Some(PAGE.to_owned()), HTML),
        "/livez" => Answer::of_probe(&snapshot.dead(), &[]),
        "/readyz" => Answer::of_probe(&snapshot.unready(), &snapshot.notes()),
        "/metrics" => {
            let form = Form::accepted(accept);
            Answer::of(exposition(snapshot, form).ok(), form.content_type())
        }
        _ => Answer::of(serde_json::to_string(&Report::of(snapshot)).ok().map(|json| json + "\n"), JSON),
    }
}

#[cfg(test)]
mod tests;
