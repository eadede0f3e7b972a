//! Tests by writing whether the engine keeps external versions.

use opensearch::http::Method;
use serde_json::{Value, json};

use super::admin::{ask, escape};
use super::error::SetupError;
use super::finding::{Code, Finding};
use crate::client::Client;

/// One write of the scratch document, and the status that it must get.
struct Write {
    method: Method,
    version: u64,
    wanted: u16,
    rule: &'static str,
}

const RULES: [(Method, u64, u16, &str); 5] = [
    (Method::Put, 2, 201, "a document is written with an external version"),
    (Method::Put, 2, 200, "an equal version is accepted"),
    (Method::Put, 1, 409, "a lower version is refused"),
    (Method::Delete, 3, 200, "a delete carries a version"),
    (Method::Put, 2, 409, "a write older than a delete is refused"),
];

/// Writes and deletes a scratch document in the index. Searches can find an empty document for a moment.
///
/// # Errors
/// The index cannot be written to at all.
pub(crate) async fn external_versions(client: &Client, concrete: &str) -> Result<Option<Finding>, SetupError> {
    let id = format!("streamdex-probe-{:016x}", fastrand::u64(..));
    // With `routing`, so that an index that requires it can be probed too.
    let path = format!("{}/_doc/{id}?routing=streamdex", escape(concrete));
    let result = follow_rules(client, &path).await;
    clean_up(client, &path).await;
    result
}

async fn follow_rules(client: &Client, path: &str) -> Result<Option<Finding>, SetupError> {
    for (method, version, wanted, rule) in RULES {
        let write = Write { method, version, wanted, rule };
        let reply = send(client, path, &write).await?;
        if reply == write.wanted {
            continue;
        }
        return Ok(Some(Finding::new(
            Code::ExternalVersions,
            format!(
                "the engine does not keep external versions: {} (answered {reply}, expected {})",
                write.rule, write.wanted
            ),
            "use a cluster (or a search collection) that supports external versions: without them a late redelivery overwrites newer documents",
        )));
    }
    Ok(None)
}

async fn send(client: &Client, path: &str, write: &Write) -> Result<u16, SetupError> {
    const ACTION: &str = "write a scratch document";
    let body = matches!(write.method, Method::Put).then(|| json!({}));
    let path = format!("{path}&version={}&version_type=external_gte", write.version);
    let reply = ask(client, write.method, &path, body.as_ref()).await?;
    match reply.status {
        401 | 403 | 408 | 413 | 429 | 500.. => Err(reply.refused(ACTION)),
        // Only what OpenSearch itself says of the document is held against it.
        200 | 201 | 404 if reply.body.get("result").is_some() => Ok(reply.status),
        409 if reply.kind() == "version_conflict_engine_exception" => Ok(reply.status),
        status if !reply.kind().is_empty() => Ok(status),
        _ => Err(reply.unexpected(ACTION)),
    }
}

/// Deletes the document, whether or not the rules held. A failure does not change the outcome of the probe.
async fn clean_up(client: &Client, path: &str) {
    let gone = |status: u16| matches!(status, 200 | 404);
    for versioned in ["&version=9&version_type=external_gte", ""] {
        let reply = ask(client, Method::Delete, &format!("{path}{versioned}"), None::<&Value>).await;
        match reply {
            Ok(reply) if gone(reply.status) => return,
            Ok(reply) => tracing::debug!(status = reply.status, "the scratch document was not deleted"),
            Err(error) => tracing::debug!(%error, "the scratch document was not deleted"),
        }
    }
    tracing::warn!("the scratch document of the probe may still be in the index");
}
