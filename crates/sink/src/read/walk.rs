//! Lists ids and versions of every document of an index, once.
//!
//! A point in time sorted by `_shard_doc` where the engine has that sort (OpenSearch from 3.3 on), else a scroll sorted by
//! `_doc`. Never sorted by `_id`, which would load field data for each. The number of documents is requested at the
//! start and compared at the end: a walk with fewer documents does not count.

use std::borrow::Cow;
use std::sync::Arc;

use opensearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::cursor::{Means, Slice, Walk};
use super::{ClusterReader, Entry, EntryPage, HeldIndex};
use crate::client::Answer;
use crate::index::{Reply, SetupError, escape};

const ACTION: &str = "list the documents of an index";
/// The engines' own `index.max_result_window`.
const PAGE: u32 = 10_000;
const KEEP_ALIVE: &str = "5m";

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "_scroll_id")]
    scroll: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pit_id: Option<Cow<'a, str>>,
    timed_out: Option<bool>,
    #[serde(rename = "_shards")]
    shards: Option<Shards>,
    #[serde(borrow)]
    hits: Option<Hits<'a>>,
}

#[derive(Deserialize)]
struct Shards {
    failed: Option<u64>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    total: Option<Total>,
    #[serde(borrow)]
    hits: Option<Vec<Hit<'a>>>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
    relation: String,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "_routing")]
    routing: Option<Cow<'a, str>>,
    #[serde(rename = "_version")]
    version: u64,
    #[serde(borrow)]
    sort: Option<&'a RawValue>,
}

/// One answer, read.
struct Page {
    entries: Vec<Entry>,
    total: Option<u64>,
    /// The id of the scroll or the point in time, where it gave one.
    id: Option<String>,
    /// Where a point in time goes on.
    after: Option<Value>,
}

impl ClusterReader {
    pub(super) async fn begin_walk(&self, index: &HeldIndex, slice: Slice) -> Result<EntryPage, SetupError> {
        if !self.indices.flavour().await?.sorts_by_shard_doc() {
            let body = with_slice(
                json!({"size": PAGE, "sort": ["_doc"], "version": true, "_source": false, "track_total_hits": true}),
                slice,
            );
            let path =
                format!("{}/_search?scroll={KEEP_ALIVE}&allow_partial_search_results=false", escape(&index.concrete));
            let answer = self.client.json(Method::Post, &path, Some(&body)).await?;
            let page = read(&answer)?;
            let id = page.id.clone().ok_or_else(|| Reply::read(&answer).unexpected(ACTION))?;
            let total = page.total.ok_or_else(|| Reply::read(&answer).unexpected(ACTION))?;
            return self.take(Walk { means: Means::Scroll { id }, slice, total, walked: 0 }, page).await;
        }
        let path = format!("{}/_search/point_in_time?keep_alive={KEEP_ALIVE}", escape(&index.concrete));
        let answer = self.client.json(Method::Post, &path, None).await?;
        let reply = Reply::read(&answer);
        let id = reply.members(ACTION)?.get("pit_id").and_then(Value::as_str).map(str::to_owned);
        let id = id.ok_or_else(|| reply.unexpected(ACTION))?;
        let walk = Walk { means: Means::PointInTime { id, after: None }, slice, total: 0, walked: 0 };
        let (page, walk) = self.search(walk).await?;
        let total = page.total.ok_or_else(|| reply.unexpected(ACTION))?;
        self.take(Walk { total, ..walk }, page).await
    }

    pub(super) async fn go_on_with(&self, walk: Walk) -> Result<EntryPage, SetupError> {
        let (page, walk) = self.search(walk).await?;
        self.take(walk, page).await
    }

    async fn search(&self, mut walk: Walk) -> Result<(Page, Walk), SetupError> {
        let (path, body) = match &walk.means {
            Means::Scroll { id } => ("_search/scroll", json!({"scroll": KEEP_ALIVE, "scroll_id": id})),
            Means::PointInTime { id, after } => {
                let mut body = with_slice(
                    json!({
                        "size": PAGE, "pit": {"id": id, "keep_alive": KEEP_ALIVE}, "sort": [{"_shard_doc": "asc"}],
                        "version": true, "_source": false, "track_total_hits": after.is_none(),
                    }),
                    walk.slice,
                );
                if let (Some(after), Some(members)) = (after, body.as_object_mut()) {
                    members.insert("search_after".to_owned(), after.clone());
                }
                ("_search?allow_partial_search_results=false", body)
            }
        };
        let page = read(&self.client.json(Method::Post, path, Some(&body)).await?)?;
        match &mut walk.means {
            Means::Scroll { id } => *id = page.id.clone().unwrap_or_else(|| std::mem::take(id)),
            Means::PointInTime { id, after } => {
                *id = page.id.clone().unwrap_or_else(|| std::mem::take(id));
                if let Some(next) = &page.after {
                    *after = Some(next.clone());
                }
            }
        }
        Ok((page, walk))
    }

    /// A page without documents is the end, where all of them have come.
    async fn take(&self, mut walk: Walk, page: Page) -> Result<EntryPage, SetupError> {
        walk.walked += u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        if !page.entries.is_empty() && walk.walked < walk.total {
            return Ok(EntryPage { entries: page.entries, next: Some(walk) });
        }
        self.close(&walk).await;
        if walk.walked != walk.total {
            let what = "a truncated list";
            return Err(SetupError::Unexpected { action: ACTION.to_owned(), status: 200, what });
        }
        Ok(EntryPage { entries: page.entries, next: None })
    }

    /// The engine closes abandoned walks after some minutes.
    async fn close(&self, walk: &Walk) {
        let (path, body) = match &walk.means {
            Means::Scroll { id } => ("_search/scroll", json!({ "scroll_id": [id] })),
            Means::PointInTime { id, .. } => ("_search/point_in_time", json!({ "pit_id": [id] })),
        };
        if let Err(error) = self.client.json(Method::Delete, path, Some(&body)).await {
            tracing::debug!(%error, "a walk stays open for some minutes");
        }
    }

    pub(super) async fn sample_of(&self, index: &HeldIndex, most: u32) -> Result<Vec<Entry>, SetupError> {
        let random = json!({"function_score": {"query": {"match_all": {}}, "random_score": {}}});
        let body = json!({"size": most.min(PAGE), "query": random, "version": true, "_source": false});
        let path = format!("{}/_search?allow_partial_search_results=false", escape(&index.concrete));
        Ok(read(&self.client.json(Method::Post, &path, Some(&body)).await?)?.entries)
    }
}

fn with_slice(mut body: Value, slice: Slice) -> Value {
    if let (2.., Some(members)) = (slice.of, body.as_object_mut()) {
        members.insert("slice".to_owned(), json!({"id": slice.number, "max": slice.of}));
    }
    body
}

/// An answer in which shards are missing lists too little, so it is none.
fn read(answer: &Answer) -> Result<Page, SetupError> {
    if !Reply::of_status(answer).is_success() {
        return Err(Reply::read(answer).refused(ACTION));
    }
    let unexpected = || Reply::read(answer).unexpected(ACTION);
    let wire: Wire<'_> = serde_json::from_slice(&answer.body).map_err(|_| unexpected())?;
    let is_whole = wire.timed_out == Some(false) && wire.shards.and_then(|shards| shards.failed) == Some(0);
    let hits = wire.hits.filter(|_| is_whole).ok_or_else(unexpected)?;
    let total = hits.total.filter(|total| total.relation == "eq").map(|total| total.value);
    let hits = hits.hits.ok_or_else(unexpected)?;
    let after = hits.last().and_then(|hit| serde_json::from_str(hit.sort?.get()).ok());
    let entry = |hit: Hit<'_>| Entry {
        id: hit.id.into_owned(),
        routing: hit.routing.map(|routing| Arc::from(&*routing)),
        version: hit.version,
    };
    Ok(Page {
        entries: hits.into_iter().map(entry).collect(),
        total,
        id: wire.scroll.or(wire.pit_id).map(Cow::into_owned),
        after,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn page(body: &str) -> Result<Page, SetupError> {
        read(&Answer { status: 200, body: Bytes::from(body.to_owned()), retry_after: None })
    }

    #[test]
    fn entries_have_version_routing_and_where_to_go_on() {
        let page = page(
            r#"{"pit_id":"p","timed_out":false,"_shards":{"total":1,"failed":0},"hits":{"total":{"value":2,"relation":"eq"},
            "hits":[{"_id":"a","_version":9223372036854775807,"_routing":"r","sort":[7]},{"_id":"b","_version":2,"sort":[8]}]}}"#,
        )
        .unwrap();
        assert_eq!((page.total, page.id.as_deref(), page.after), (Some(2), Some("p"), Some(json!([8]))));
        assert_eq!(page.entries[0].routing.as_deref(), Some("r"));
        assert_eq!(page.entries[0].version, 9_223_372_036_854_775_807);
        assert_eq!((page.entries[1].id.as_str(), page.entries[1].routing.as_deref()), ("b", None));
    }

    /// One row per line: an answer with missing shards lists too little.
    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        for body in [
            "{}",
            "<html>",
            r#"{"timed_out":true,"_shards":{"failed":0},"hits":{"hits":[]}}"#,
            r#"{"timed_out":false,"_shards":{"failed":1},"hits":{"hits":[]}}"#,
            r#"{"timed_out":false,"hits":{"hits":[]}}"#,
            r#"{"timed_out":false,"_shards":{"failed":0},"hits":{}}"#,
            r#"{"timed_out":false,"_shards":{"failed":0}}"#,
            r#"{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[{"_id":"a"}]}}"#,
        ] {
            assert!(matches!(page(body), Err(SetupError::Unexpected { .. })), "{body}");
        }
    }

    #[test]
    fn a_number_of_documents_that_is_no_more_than_a_bound_is_not_taken() {
        let body =
            r#"{"timed_out":false,"_shards":{"failed":0},"hits":{"total":{"value":10000,"relation":"gte"},"hits":[]}}"#;
        assert_eq!(page(body).unwrap().total, None);
    }
}
