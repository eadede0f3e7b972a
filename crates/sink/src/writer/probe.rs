//! Probes whether `_bulk` accepts any request, after a request with one operation was refused whole and nothing was
//! accepted yet.

use std::sync::Arc;

use super::answer::read_items;
use super::gates::Epochs;
use super::request::BulkTransport;
use crate::client::BodyEncoding;

/// A probe of `_bulk`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BulkProbe {
    /// It is to name this concrete index.
    Wanted(Arc<str>),
    /// With the epochs of the gates when it was sent.
    UnderWay(Epochs),
}

/// The ids of probes begin so.
pub(super) const PROBE_ID: &str = "streamdex-probe-";

/// Sends a bulk request that changes nothing: a delete of a document that is not there. Where it is answered item by item,
/// requests are accepted, so that an operation refused alone is at fault itself; its size in bytes then. It names the index
/// in its line, as all requests do, since some clusters refuse just that.
///
/// Without a version, so that it never makes a missing index. A failure says nothing.
pub(super) async fn probe_bulk(transport: Arc<dyn BulkTransport>, concrete: Arc<str>) -> Option<usize> {
    let id = format!("{PROBE_ID}{:016x}", fastrand::u64(..));
    let line = serde_json::json!({"delete": {"_index": &*concrete, "_id": id}});
    let body = format!("{line}\n").into_bytes();
    let bytes = body.len();
    let answer = transport.bulk(body.into(), BodyEncoding::Identity).await.ok()?;
    (answer.is_success() && read_items(&answer.body).is_ok_and(|items| items.len() == 1)).then_some(bytes)
}
