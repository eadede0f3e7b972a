//! Counts problems in the documents of an index: ignored values and duplicate ids.
//!
//! An id can be in an index twice, once on each of two shards, where two routings gave it different shards. Terms of `_id`
//! cannot be added up by the engine at an affordable price (field data for every id). So the documents that can be
//! one of two are narrowed down by `_routing`, up to [`MOST`] of them are taken, and their ids are asked for again:
//! an id that gives two documents is held twice.

use std::collections::BTreeMap;
use std::fmt;

use opensearch::http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::admin::{ask, escape};
use super::error::{SetupError, SetupErrorKind};
use super::finding::{Code, Finding};
use super::inspect::text_of;
use super::merge::FlatSettings;
use super::reply::Reply;
use crate::client::Client;

/// How many documents are looked at for ids that are held twice; also the engines' `index.max_result_window`.
const MOST: u64 = 10_000;
/// How many ids one request asks for.
const IDS_AT_ONCE: usize = 1000;
/// How many ids that are held twice are named.
const NAMED: usize = 3;

/// What the documents of an index show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Documents {
    /// How many there are.
    pub count: u64,
    /// How many hold a value that does not fit its field: it is kept in the document, and cannot be searched for.
    pub with_ignored_values: u64,
    /// The ids that several documents have, under different routings.
    pub doubled_ids: Vec<String>,
    /// How many documents could share their id with another one.
    pub doubled_ids_possible: u64,
    /// How many of those were looked at.
    pub doubled_ids_looked_at: u64,
    /// Why the documents could not be looked at.
    pub problem: Option<String>,
    /// Because the credentials may not search.
    #[serde(skip)]
    pub is_forbidden: bool,
}

/// Which documents can be one of two that share their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidates {
    /// None: one shard, or no document has a routing.
    None,
    /// Those with a routing.
    Routed(u64),
    /// Those without a routing.
    Unrouted(u64),
}

/// Looks at the documents of an index.
///
/// # Errors
/// There is no answer, or none of OpenSearch's. A refusal is a [`Documents::problem`]: it says nothing about the index.
pub(super) async fn look(client: &Client, index: &str, settings: &FlatSettings) -> Result<Documents, SetupError> {
    let (mut documents, refused) = match count(client, index).await {
        Ok((mut documents, routed)) => {
            let candidates = candidates(settings, documents.count, routed);
            let refused = refusal(find_doubled(client, index, candidates, &mut documents).await)?;
            (documents, refused)
        }
        Err(error) => (Documents::default(), refusal(Err(error))?),
    };
    if let Some(error) = refused {
        documents.is_forbidden = error.kind() == SetupErrorKind::Credentials;
        documents.problem = Some(format!("{error}; {}", error.hint()));
    }
    Ok(documents)
}

/// Parts a refusal, which is no obstacle to a plan, from an error that is one.
fn refusal(result: Result<(), SetupError>) -> Result<Option<SetupError>, SetupError> {
    match result {
        Ok(()) => Ok(None),
        Err(error @ SetupError::Refused { .. }) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// Counts the documents, those with ignored values among them, and those with a routing.
async fn count(client: &Client, index: &str) -> Result<(Documents, u64), SetupError> {
    let exists = |field: &str| json!({"filter": {"exists": {"field": field}}});
    let body = json!({
        "size": 0, "track_total_hits": true,
        "aggs": {"ignored": exists("_ignored"), "routed": exists("_routing")}
    });
    let reply = search(client, index, &body).await?;
    let number =
        |path: &str| reply.body.pointer(path).and_then(Value::as_u64).ok_or_else(|| reply.unexpected(action(index)));
    let documents = Documents {
        count: number("/hits/total/value")?,
        with_ignored_values: number("/aggregations/ignored/doc_count")?,
        ..Documents::default()
    };
    Ok((documents, number("/aggregations/routed/doc_count")?))
}

fn candidates(settings: &FlatSettings, count: u64, routed: u64) -> Candidates {
    let one_shard = settings.get("index.number_of_shards").is_some_and(|shards| text_of(shards) == "1");
    let unrouted = count.saturating_sub(routed);
    match (one_shard, routed, unrouted) {
        (true, ..) | (_, 0, _) => Candidates::None,
        (_, _, 1..) if unrouted < routed => Candidates::Unrouted(unrouted),
        _ => Candidates::Routed(routed),
    }
}

async fn find_doubled(
    client: &Client,
    index: &str,
    candidates: Candidates,
    documents: &mut Documents,
) -> Result<(), SetupError> {
    let routed = json!({"exists": {"field": "_routing"}});
    let (possible, query) = match candidates {
        Candidates::None => return Ok(()),
        Candidates::Routed(count) => (count, json!({"bool": {"filter": routed}})),
        Candidates::Unrouted(count) => (count, json!({"bool": {"must_not": routed}})),
    };
    documents.doubled_ids_possible = possible;
    let body = json!({"size": MOST.min(possible), "_source": false, "sort": "_doc", "query": query});
    let mut ids = ids(&search(client, index, &body).await?, index)?;
    documents.doubled_ids_looked_at = ids.len().try_into().unwrap_or(u64::MAX);
    ids.sort_unstable();
    ids.dedup();
    for ids in ids.chunks(IDS_AT_ONCE) {
        documents.doubled_ids.extend(doubled_among(client, index, ids).await?);
    }
    Ok(())
}

/// Those of the ids that give more than one document.
async fn doubled_among(client: &Client, index: &str, ids: &[String]) -> Result<Vec<String>, SetupError> {
    let body = json!({"size": MOST, "_source": false, "sort": "_doc", "query": {"ids": {"values": ids}}});
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in self::ids(&search(client, index, &body).await?, index)? {
        *times.entry(id).or_default() += 1;
    }
    Ok(times.into_iter().filter(|(_, times)| *times > 1).map(|(id, _)| id).collect())
}

fn ids(reply: &Reply, index: &str) -> Result<Vec<String>, SetupError> {
    let hits = reply.body.pointer("/hits/hits").and_then(Value::as_array);
    let hits = hits.ok_or_else(|| reply.unexpected(action(index)))?;
    Ok(hits.iter().filter_map(|hit| hit.get("_id")?.as_str()).map(str::to_owned).collect())
}

/// One search. An answer in which shards are missing counts too little, so it is none.
async fn search(client: &Client, index: &str, body: &Value) -> Result<Reply, SetupError> {
    let path = format!("{}/_search?allow_partial_search_results=false", escape(index));
    let reply = ask(client, Method::Post, &path, Some(body)).await?;
    if reply.members(&action(index))?.contains_key("hits") { Ok(reply) } else { Err(reply.unexpected(action(index))) }
}

fn action(index: &str) -> String {
    format!("search the index {index}")
}

// === impl Documents ===

impl Documents {
    /// Counts the documents of an index, or of all that a pattern matches; ids that are held twice are not looked for.
    ///
    /// # Errors
    /// There is no answer, none of OpenSearch's, or a refusal.
    pub async fn count(client: &Client, index: &str) -> Result<Documents, SetupError> {
        count(client, index).await.map(|(documents, _)| documents)
    }

    /// What is to be known of them, and what to do.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.with_ignored_values > 0 {
            findings.push(Finding::new(
                Code::IgnoredValues,
                format!(
                    "{} of {} documents hold a value that does not fit its field: the document has it, but no search finds it",
                    self.with_ignored_values, self.count
                ),
                "find them with {\"query\":{\"exists\":{\"field\":\"_ignored\"}}}; change the mapping so that the field accepts all its values, and raise `generation`",
            ));
        }
        if !self.doubled_ids.is_empty() {
            let named: Vec<&str> = self.doubled_ids.iter().map(String::as_str).take(NAMED).collect();
            findings.push(Finding::new(
                Code::DoubledIds,
                format!(
                    "{} ids have several documents with different routings (such as {}); {} of {} possible documents were checked",
                    self.doubled_ids.len(),
                    named.join(", "),
                    self.doubled_ids_looked_at,
                    self.doubled_ids_possible
                ),
                "give all routes to this index the same `routing`, and raise its `generation` to fill a new one",
            ));
        }
        findings
    }
}

impl fmt::Display for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(problem) = &self.problem {
            return write!(f, "not checked: {problem}");
        }
        write!(f, "{}, with values that no search finds: {}", self.count, self.with_ignored_values)?;
        if self.doubled_ids_possible == 0 {
            return Ok(());
        }
        let (looked_at, possible) = (self.doubled_ids_looked_at, self.doubled_ids_possible);
        write!(f, ", with duplicate ids: {} (checked {looked_at} of {possible})", self.doubled_ids.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_that_can_share_an_id_are_looked_at() {
        let shards = |count: &str| FlatSettings::from([("index.number_of_shards".to_owned(), json!(count))]);
        let rows = [
            ("1", 10, 5, Candidates::None),
            ("5", 10, 0, Candidates::None),
            ("5", 10, 10, Candidates::Routed(10)),
            ("5", 10, 3, Candidates::Routed(3)),
            ("5", 10, 8, Candidates::Unrouted(2)),
        ];
        for (count, documents, routed, expected) in rows {
            assert_eq!(candidates(&shards(count), documents, routed), expected, "{count} {documents} {routed}");
        }
    }

    #[test]
    fn the_finding_says_what_was_looked_at() {
        let documents = Documents {
            count: 5_000_000,
            with_ignored_values: 2,
            doubled_ids: vec!["a".into(), "b".into(), "c".into(), "d".into()],
            doubled_ids_possible: 20_000,
            doubled_ids_looked_at: 10_000,
            problem: None,
            is_forbidden: false,
        };
        let findings = documents.findings();
        let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::IgnoredValues, Code::DoubledIds]);
        let message = &findings[1].message;
        assert!(message.starts_with("4 ids") && message.contains("(such as a, b, c)"), "{message}");
        assert!(message.ends_with("10000 of 20000 possible documents were checked"), "{message}");
        assert_eq!(Documents::default().findings(), []);
    }
}
