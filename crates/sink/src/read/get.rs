//! Reads documents by their addresses with `_mget`, which sees the latest writes even before a refresh.

use std::borrow::Cow;

use bytes::Bytes;
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use streamdex_mapping::Address;

use super::{ClusterReader, StoredDocument};
use crate::client::Answer;
use crate::index::{Reply, SetupError};

const ACTION: &str = "read documents";
/// So many documents are asked for at once.
const AT_ONCE: usize = 1000;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    docs: Option<Vec<Found<'a>>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, rename = "_id")]
    id: Option<Cow<'a, str>>,
    found: Option<bool>,
    #[serde(rename = "_version")]
    version: Option<u64>,
    #[serde(borrow, rename = "_source")]
    source: Option<&'a RawValue>,
    error: Option<Value>,
}

impl ClusterReader {
    pub(super) async fn get_all(&self, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, SetupError> {
        let mut documents = Vec::with_capacity(addresses.len());
        for addresses in addresses.chunks(AT_ONCE) {
            let asked: Result<Vec<Value>, SetupError> =
                addresses.iter().map(|address| self.asked_for(address)).collect();
            let answer = self.client.json(Method::Post, "_mget", Some(&json!({ "docs": asked? }))).await?;
            documents.extend(read(&answer, addresses)?);
        }
        Ok(documents)
    }

    fn asked_for(&self, address: &Address) -> Result<Value, SetupError> {
        let mut asked = Map::new();
        asked.insert("_index".to_owned(), self.indices.concrete_name(&address.index)?.into());
        asked.insert("_id".to_owned(), address.id.as_str().into());
        if let Some(routing) = &address.routing {
            asked.insert("routing".to_owned(), (**routing).into());
        }
        Ok(Value::Object(asked))
    }
}

/// Pairs the answer with what was asked for, by position; each document must say itself whether it is there.
fn read(answer: &Answer, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, SetupError> {
    let reply = Reply::of_status(answer);
    if !reply.is_success() {
        return Err(Reply::read(answer).refused(ACTION));
    }
    let wire = serde_json::from_slice::<Wire<'_>>(&answer.body).ok();
    let found = wire.and_then(|wire| wire.docs).filter(|docs| docs.len() == addresses.len());
    let unexpected = || Reply::read(answer).unexpected(ACTION);
    let found = found.ok_or_else(unexpected)?;
    found
        .iter()
        .zip(addresses)
        .map(|(found, address)| document(found, address, answer.status).ok_or_else(unexpected)?)
        .collect()
}

/// `None` where the answer does not tell.
fn document(found: &Found<'_>, address: &Address, status: u16) -> Option<Result<Option<StoredDocument>, SetupError>> {
    if let Some(error) = &found.error {
        let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind == "index_not_found_exception" {
            return Some(Ok(None));
        }
        // Some name the document, as where its routing is missing.
        let reason = error.get("reason").and_then(Value::as_str).unwrap_or("no reason was given");
        let reason = reason.replace(address.id.as_str(), "…");
        let (action, kind) = (format!("{ACTION} of {}", address.index), kind.to_owned());
        return Some(Err(SetupError::Refused { action, status: refused_status(&kind, status), kind, reason }));
    }
    if found.id.as_deref() != Some(address.id.as_str()) {
        return None;
    }
    match found.found? {
        false => Some(Ok(None)),
        true => {
            let (version, source) = (found.version?, found.source?);
            Some(Ok(Some(StoredDocument { version, source: Bytes::from(source.get().to_owned()) })))
        }
    }
}

/// An item of the answer has no status. A shard that is not there just now passes; a refusal does not.
fn refused_status(kind: &str, status: u16) -> u16 {
    match kind {
        "security_exception" => 403,
        "no_shard_available_action_exception" | "unavailable_shards_exception" | "cluster_block_exception" => 503,
        "circuit_breaking_exception" | "rejected_execution_exception" => 429,
        _ => status.max(500),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamdex_mapping::{DocumentId, IndexName};

    fn address(id: &str) -> Address {
        Address { index: IndexName::parse("i").unwrap(), id: DocumentId::parse(id).unwrap(), routing: None }
    }

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: Bytes::from(body.to_owned()), retry_after: None }
    }

    #[test]
    fn documents_come_as_they_were_written() {
        let body = r#"{"docs":[{"_index":"i-000001","_id":"a","_version":5,"found":true,"_source":{"n":1.50, "s":"é"}},
            {"_index":"i-000001","_id":"b","found":false},
            {"_index":"i-000001","_id":"c","error":{"type":"index_not_found_exception","reason":"no such index"}}]}"#;
        let documents = read(&answer(body), &[address("a"), address("b"), address("c")]).unwrap();
        let first = documents[0].as_ref().unwrap();
        assert_eq!((first.version, &*first.source), (5, "{\"n\":1.50, \"s\":\"é\"}".as_bytes()));
        assert_eq!(documents[1..], [None, None]);
    }

    /// One row per line: what an answer does not say is not known.
    #[test]
    fn a_document_that_does_not_say_whether_it_is_there_is_no_answer() {
        for body in [
            "{}",
            "<html>",
            r#"{"docs":[]}"#,
            r#"{"docs":[{"_id":"a"}]}"#,
            r#"{"docs":[{"_id":"b","found":false}]}"#,
            r#"{"docs":[{"found":false}]}"#,
            r#"{"docs":[{"_id":"a","found":true,"_version":5}]}"#,
            r#"{"docs":[{"_id":"a","found":true,"_source":{}}]}"#,
        ] {
            assert!(matches!(read(&answer(body), &[address("a")]), Err(SetupError::Unexpected { .. })), "{body}");
        }
    }

    #[test]
    fn a_shard_that_is_not_there_passes_and_a_refusal_does_not() {
        let of = |kind: &str| {
            let body = format!(r#"{{"docs":[{{"_id":"a","error":{{"type":"{kind}","reason":"x"}}}}]}}"#);
            read(&answer(&body), &[address("a")]).unwrap_err().kind()
        };
        use crate::index::SetupErrorKind;
        assert_eq!(of("no_shard_available_action_exception"), SetupErrorKind::Transient);
        assert_ne!(of("security_exception"), SetupErrorKind::Transient);
    }
}
