//! Whether `_bulk` takes requests at all, asked of it before there is anything to write.

use super::answer::read_items;
use super::learned::Learned;
use super::request::BulkTransport;
use crate::client::BodyEncoding;

/// Sends a bulk request that changes nothing: a delete of a document that is not there. Where it is answered item by item,
/// that is noted as an accepted request, so that an operation refused alone later is known to be at fault itself; true
/// then. It names the index in its line, as all requests do, since some clusters refuse just that.
///
/// Without a version, so that it never makes a missing index. A failure says nothing and changes nothing.
pub async fn probe_bulk(transport: &dyn BulkTransport, concrete: &str, learned: &Learned) -> bool {
    let id = format!("streamdex-probe-{:016x}", fastrand::u64(..));
    let line = serde_json::json!({"delete": {"_index": concrete, "_id": id}});
    let body = format!("{line}\n").into_bytes();
    let Ok(answer) = transport.bulk(body.into(), BodyEncoding::Identity).await else { return false };
    let accepted = answer.is_success() && read_items(&answer.body).is_ok_and(|items| items.len() == 1);
    if accepted {
        learned.note_accepted();
    }
    accepted
}
