//! The requests of a set-up check, in forms that change nothing.

use opensearch::http::Method;
use serde_json::{Value, json};

use super::admin::{ask, escape, uuids};
use super::error::SetupError;
use super::reply::refusal;
use crate::client::{BodyEncoding, Client};

/// The id of no item: where one begins so, the sign is escaped, or 43 others follow.
const NO_DOCUMENT: &str = "~check";

/// Whether documents may be written to the index `concrete` and deleted from it, which exists: an index operation
/// and a delete, both under a condition that does not hold.
///
/// # Errors
/// OpenSearch refuses one of them, or does not answer.
pub async fn may_write(client: &Client, concrete: &str) -> Result<(), SetupError> {
    const ACTION: &str = "write to an index";
    let target = json!({"_index": concrete, "_id": NO_DOCUMENT, "if_seq_no": 1_u64 << 52, "if_primary_term": 1});
    let lines = [json!({"index": target}), json!({}), json!({"delete": target})];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answer = client.bulk(body.into(), BodyEncoding::Identity).await?;
    if !answer.is_success() {
        return Err(refusal(&answer, ACTION));
    }
    let unexpected = || refusal(&crate::Answer { status: 200, ..answer.clone() }, ACTION);
    let read: Value = answer.json().map_err(|_| unexpected())?;
    let items = read.get("items").and_then(Value::as_array).filter(|items| items.len() == 2).ok_or_else(unexpected)?;
    for item in items.iter().filter_map(Value::as_object).flat_map(|item| item.values()) {
        let status = item.get("status").and_then(Value::as_u64).unwrap_or_default();
        // A conflict is what was asked for.
        if !matches!(status, 200 | 201 | 404 | 409) {
            let kind = item.pointer("/error/type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let reason =
                item.pointer("/error/reason").and_then(Value::as_str).unwrap_or("no reason was given").to_owned();
            let status = u16::try_from(status).unwrap_or_default();
            return Err(SetupError::Refused { action: ACTION.to_owned(), status, kind, reason });
        }
    }
    Ok(())
}

/// Whether fields may be added to the index `concrete`, as documents with new attributes do: none is.
///
/// # Errors
/// OpenSearch refuses it, or does not answer.
pub async fn may_add_fields(client: &Client, concrete: &str) -> Result<(), SetupError> {
    let path = format!("{}/_mapping", escape(concrete));
    let reply = ask(client, Method::Put, &path, Some(&json!({"properties": {}}))).await?;
    if reply.is_success() { Ok(()) } else { Err(reply.refused("add fields to an index")) }
}

/// Whether OpenSearch tells the UUID of the index `concrete`, which shows that nobody has made another one of that name.
///
/// # Errors
/// OpenSearch refuses it, or does not answer.
pub async fn may_watch(client: &Client, concrete: &str) -> Result<(), SetupError> {
    uuids(client, &[concrete.to_owned()]).await.map(drop)
}

/// The size of the largest request that every node takes, in bytes.
///
/// # Errors
/// OpenSearch refuses to say, or does not answer.
pub async fn body_limit(client: &Client) -> Result<u64, SetupError> {
    const ACTION: &str = "return the largest request size";
    let reply = ask(client, Method::Get, "_nodes/http", None).await?;
    let nodes = reply.members(ACTION)?.get("nodes").and_then(Value::as_object);
    let limits = nodes.into_iter().flat_map(|nodes| nodes.values());
    let limits = limits.filter_map(|node| node.pointer("/http/max_content_length_in_bytes").and_then(Value::as_u64));
    limits.min().ok_or_else(|| reply.unexpected(ACTION))
}

/// The policy of Index State Management that an index has, as one that rolls it over; `None` where it has none, or the plugin
/// is missing.
///
/// # Errors
/// OpenSearch refuses to say, or does not answer.
pub async fn managed_by(client: &Client, concrete: &str) -> Result<Option<String>, SetupError> {
    const ACTION: &str = "return the policy that manages an index";
    let reply = ask(client, Method::Get, &format!("_plugins/_ism/explain/{}", escape(concrete)), None).await?;
    match reply.status {
        // There is no such plugin.
        400 | 404 | 405 => Ok(None),
        _ => {
            let index = reply.members(ACTION)?.get(concrete);
            let policy = index.and_then(|index| index.get("index.plugins.index_state_management.policy_id"));
            Ok(policy.and_then(Value::as_str).map(str::to_owned))
        }
    }
}
