//! One bulk request: encodes, compresses, sends, reads the answer.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use streamdex_mapping::IndexName;
use tokio::time::Instant;

use super::answer::{ItemAnswer, WholeAnswer, read_error, read_items};
use super::gates::Epochs;
use super::limits::Round;
use super::op::Op;
use super::permit::Permits;
use crate::client::{Answer, BodyEncoding, Client, ClientError};
use crate::encode::encode_operation;

/// Carries bulk requests: a [`Client`], or in tests a model of OpenSearch without a network.
#[async_trait]
pub trait BulkTransport: Send + Sync + 'static {
    /// Sends one bulk body, newline-delimited JSON, and waits for the answer, of any status.
    ///
    /// # Errors
    /// There is no answer; [`ClientError::Unreachable`] alone says that nothing was carried out.
    async fn bulk(&self, body: Bytes, encoding: BodyEncoding) -> Result<Answer, ClientError>;

    /// The credentials were refused: the next request asks for fresh ones.
    fn refresh_credentials(&self);
}

/// What is kept with a request until it is answered.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) ops: Vec<Op>,
    pub(super) bytes: usize,
    pub(super) encoding: BodyEncoding,
    pub(super) round: Round,
    /// Of the gates of cluster and credentials.
    pub(super) epochs: Epochs,
    /// When it was sent.
    pub(super) at: Instant,
    /// Whether it is kept apart from other indices, and has a place of another kind.
    pub(super) place: Place,
    /// The index whose gate it probes.
    pub(super) probes: Option<IndexName>,
    /// Whether it probes the gates of cluster and credentials.
    pub(super) probes_all: bool,
    /// Whether it needs fresh credentials, because the last ones were refused.
    pub(super) refreshes_credentials: bool,
    /// Whether as many requests as allowed were in flight with this one.
    pub(super) at_limit: bool,
}

/// Which requests in flight it counts among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Those of which as many are sent as the server bears.
    Shared,
    /// Those of single indices, which may wait long for shards that are not available.
    Apart,
}

#[derive(Debug)]
pub(super) struct Finished {
    pub(super) sent: Sent,
    pub(super) took: Duration,
    pub(super) reply: Reply,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    /// One answer for each operation.
    Items(Vec<ItemAnswer>),
    /// Anything else that OpenSearch or a proxy answered, with its `Retry-After`.
    Whole(WholeAnswer, Option<Duration>),
    /// A success that cannot be read, or with another number of items.
    Unreadable(String),
    /// Nothing.
    Nothing(ClientError),
    /// It was not sent, or given up, because a permit was revoked.
    Withdrawn,
}

#[async_trait]
impl BulkTransport for Client {
    async fn bulk(&self, body: Bytes, encoding: BodyEncoding) -> Result<Answer, ClientError> {
        Client::bulk(self, body, encoding).await
    }

    fn refresh_credentials(&self) {
        Client::refresh_credentials(self);
    }
}

/// Sends a request and waits for its answer.
pub(super) async fn exchange(transport: Arc<dyn BulkTransport>, mut sent: Sent) -> Finished {
    let body = encode(&sent.ops, sent.bytes);
    let body = match sent.encoding {
        BodyEncoding::Identity => body,
        BodyEncoding::Gzip => match compress(body).await {
            Some(compressed) => compressed,
            None => {
                sent.encoding = BodyEncoding::Identity;
                encode(&sent.ops, sent.bytes)
            }
        },
    };
    let started = Instant::now();
    let permits = Permits::of(sent.ops.iter().filter_map(|op| op.ticket.permit()));
    let reply = if permits.are_granted() {
        tokio::select! {
            biased;
            // First: a process that was frozen while it connected must not send when it wakes.
            () = permits.one_revoked() => Reply::Withdrawn,
            answer = transport.bulk(body, sent.encoding) => match answer {
                Err(error) => Reply::Nothing(error),
                Ok(answer) => read(&answer, sent.ops.len()),
            },
        }
    } else {
        Reply::Withdrawn
    };
    Finished { sent, took: started.elapsed(), reply }
}

fn encode(ops: &[Op], bytes: usize) -> Bytes {
    let mut body = Vec::with_capacity(bytes);
    for op in ops {
        encode_operation(&mut body, &op.concrete, &op.operation);
    }
    body.into()
}

/// The fastest level: it takes most of what can be had off JSON. Off the runtime's threads, since 5 MiB take
/// tens of milliseconds. The uncompressed bytes are given up, which saves memory while the request is under way.
async fn compress(body: Bytes) -> Option<Bytes> {
    let work = move || -> std::io::Result<Bytes> {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(&body)?;
        encoder.finish().map(Bytes::from)
    };
    tokio::task::spawn_blocking(work).await.ok()?.ok()
}

fn read(answer: &Answer, operations: usize) -> Reply {
    if !answer.is_success() {
        return Reply::Whole(read_error(answer.status, &answer.body), answer.retry_after);
    }
    match read_items(&answer.body) {
        Ok(items) if items.len() == operations => Reply::Items(items),
        Ok(items) => Reply::Unreadable(format!("{} items for {operations} operations", items.len())),
        Err(reason) => Reply::Unreadable(reason),
    }
}
