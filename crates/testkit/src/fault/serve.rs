//! The server behind the rules.

use std::convert::Infallible;
use std::future;
use std::io::{self, Read};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use futures::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::bulk::{answer_of, body_of, items_of, refused, taken};
use super::record::Recorded;
use super::reply::{End, ItemError, Reply};
use super::rule::{Action, SelectsItem};
use super::state::Shared;
use super::upstream::Upstream;

/// Time for the first part of a cut answer to leave this process.
const FLUSH_TIME: Duration = Duration::from_millis(50);

type Answer = Response<BoxBody<Bytes, io::Error>>;
type WholeAnswer = Response<Bytes>;

/// Orders from the test; each is confirmed when it has been carried out.
#[derive(Debug)]
pub(super) enum Control {
    Refuse(std_mpsc::Sender<()>),
    Accept(std_mpsc::Sender<()>),
    Cut(std_mpsc::Sender<()>),
}

/// Accepts connections until the runtime ends.
pub(super) async fn run(
    listener: TcpListener,
    mut commands: mpsc::Receiver<Control>,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
) {
    let address = listener.local_addr().expect("a bound listener");
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            command = commands.recv() => {
                let done = match command {
                    None => return,
                    Some(Control::Refuse(done)) => {
                        listener = None;
                        connections.shutdown().await;
                        done
                    }
                    Some(Control::Accept(done)) => {
                        if listener.is_none() {
                            listener = Some(TcpListener::bind(address).await.expect("the port of before"));
                        }
                        done
                    }
                    Some(Control::Cut(done)) => {
                        connections.shutdown().await;
                        done
                    }
                };
                // A test that no longer waits has ended.
                let _ = done.send(());
            }
            stream = accept(listener.as_ref()) => {
                connections.spawn(connection(stream, Arc::clone(&shared), tls.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return future::pending().await;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            return stream;
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    // An answer in two small writes would otherwise wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(stream, shared).await,
        // A client that refuses the certificate is what such a test is about.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, shared).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        // A separate task: a client that gives up does not stop what the network has already carried away.
        let handled = tokio::spawn(handle(request, Arc::clone(&shared)));
        async move { handled.await.map_err(io::Error::other)? }
    });
    // Cut connections are the purpose of this server, not a failure of it.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// One request; an error closes the connection without an answer.
async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Answer> {
    let (parts, body) = request.into_parts();
    let sent = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let recorded = shared.records().add(Recorded {
        number: 0,
        path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        method: parts.method,
        body: decompressed(&parts.headers, &sent)?,
        headers: parts.headers,
        status: None,
    });
    shared.note_change();
    let number = recorded.number;
    let answer = decide(recorded, sent, &shared).await?;
    shared.records().answered(number, answer.status().as_u16());
    shared.note_change();
    Ok(answer)
}

async fn decide(request: Recorded, sent: Bytes, shared: &Shared) -> io::Result<Answer> {
    let taken = shared.rules().iter_mut().find_map(|(_, rule)| rule.take(&request));
    let (delay, action) = taken.unwrap_or_default();
    tokio::time::sleep(delay).await;
    match action {
        Action::Forward => forward(&request, sent, shared).await.map(whole),
        Action::Answer(answers) => {
            let made_up = answers(&request);
            let end = made_up.end;
            Ok(ended(reply(made_up), end))
        }
        Action::WithholdItems(selects, error) => withhold(&request, shared, &selects, &error).await,
        Action::RewriteItems(selects, error) => rewrite(&request, shared, &selects, &error).await,
        Action::CutAnswer { after } => {
            forward(&request, sent, shared).await.map(|answer| ended(answer, End::Cut(after)))
        }
        Action::DropBefore => Err(io::ErrorKind::ConnectionAborted.into()),
        Action::DropAfter => {
            forward(&request, sent, shared).await?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Action::Hang => future::pending().await,
    }
}

async fn forward(request: &Recorded, body: Bytes, shared: &Shared) -> io::Result<WholeAnswer> {
    let Upstream::Node { url, client } = &shared.upstream else {
        return Ok(mock(request));
    };
    let mut forwarded = Request::builder()
        .method(request.method.clone())
        .uri(format!("{url}{}", request.path))
        .body(Full::new(body))
        .map_err(io::Error::other)?;
    *forwarded.headers_mut() = request.headers.clone();
    for hop_by_hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        forwarded.headers_mut().remove(hop_by_hop);
    }
    let answer = client.request(forwarded).await.map_err(io::Error::other)?;
    let (mut parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.remove(CONNECTION);
    Ok(Response::from_parts(parts, body))
}

/// A server that takes every bulk operation and says what it is, and knows nothing else.
fn mock(request: &Recorded) -> WholeAnswer {
    if request.is_bulk() {
        let items: Vec<_> = request.operations().iter().map(taken).collect();
        return reply(Reply::json(200, answer_of(&items)));
    }
    if request.path == "/" {
        return reply(Reply::json(200, r#"{"version":{"distribution":"opensearch","number":"3.8.0"}}"#));
    }
    reply(Reply::json(404, r#"{"error":{"type":"no_rule","reason":"no rule answers this request"},"status":404}"#))
}

/// The request without what hinders taking its body or answer apart.
fn plain(request: &Recorded) -> Recorded {
    let mut plain = request.clone();
    plain.headers.remove(CONTENT_ENCODING);
    plain.headers.remove(ACCEPT_ENCODING);
    plain
}

async fn withhold(request: &Recorded, shared: &Shared, selects: &SelectsItem, error: &ItemError) -> io::Result<Answer> {
    let operations = request.operations();
    let withheld: Vec<bool> =
        operations.iter().enumerate().map(|(position, operation)| selects(position, operation)).collect();
    let kept = || operations.iter().zip(&withheld).filter(|(_, withheld)| !**withheld).map(|(kept, _)| kept);
    let mut answered = Vec::new();
    if kept().next().is_some() {
        let answer = forward(&plain(request), Bytes::from(body_of(kept())), shared).await?;
        match items_of(answer.body()) {
            Some(items) => answered = items,
            None => return Ok(whole(answer)),
        }
    }
    let mut answered = answered.into_iter();
    let mut items = Vec::new();
    for (operation, withheld) in operations.iter().zip(&withheld) {
        let item = if *withheld { Some(refused(operation, error)) } else { answered.next() };
        items.push(item.ok_or_else(|| io::Error::other("fewer items than operations"))?);
    }
    Ok(whole(reply(Reply::json(200, answer_of(&items)))))
}

async fn rewrite(request: &Recorded, shared: &Shared, selects: &SelectsItem, error: &ItemError) -> io::Result<Answer> {
    let answer = forward(&plain(request), request.body.clone(), shared).await?;
    let Some(mut items) = items_of(answer.body()) else {
        return Ok(whole(answer));
    };
    for (position, (operation, item)) in request.operations().iter().zip(&mut items).enumerate() {
        if selects(position, operation) {
            *item = refused(operation, error);
        }
    }
    Ok(whole(reply(Reply::json(200, answer_of(&items)))))
}

fn reply(reply: Reply) -> WholeAnswer {
    let mut answer = Response::builder().status(StatusCode::from_u16(reply.status).expect("a status"));
    for (name, value) in &reply.headers {
        answer = answer.header(name, value);
    }
    answer.body(Bytes::from(reply.body)).expect("an answer")
}

fn whole(answer: WholeAnswer) -> Answer {
    answer.map(|body| Full::new(body).map_err(|never: Infallible| match never {}).boxed())
}

/// Announces the whole length, and sends all of it or a part.
fn ended(answer: WholeAnswer, end: End) -> Answer {
    let after = match end {
        End::Whole => return whole(answer),
        End::Cut(after) | End::Stalled(after) => after,
    };
    let (mut parts, body) = answer.into_parts();
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    let sent = body.slice(..after.min(body.len().saturating_sub(1)));
    let broken = async move {
        if matches!(end, End::Stalled(_)) {
            future::pending::<()>().await;
        }
        // What was sent must have left before the connection goes.
        tokio::time::sleep(FLUSH_TIME).await;
        Err(io::ErrorKind::ConnectionAborted.into())
    };
    let frames = stream::once(future::ready(Ok(Frame::data(sent)))).chain(stream::once(broken));
    Response::from_parts(parts, BodyExt::boxed(StreamBody::new(frames)))
}

fn decompressed(headers: &HeaderMap, sent: &Bytes) -> io::Result<Bytes> {
    if headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(sent.clone());
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(sent.as_ref()).read_to_end(&mut plain)?;
    Ok(plain.into())
}
