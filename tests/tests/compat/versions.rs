//! External versions, and what is remembered of deletes.

use std::sync::Arc;

use opensearch::http::Method;
use serde_json::{Value, json};

use super::check::{Check, check};
use super::lab::{Lab, delete, statuses, write};
use super::outcome::{Outcome, holds};

pub(crate) fn checks() -> Vec<Check> {
    vec![
        check(
            "a higher external version is written, and an equal version is accepted (`external_gte`)",
            equal_is_accepted,
        ),
        check("a lower external version is refused: 409 `version_conflict_engine_exception`", lower_is_refused),
        check("versions 0 and 2^63-1 are taken", extremes),
        check("GET returns the version of a document", version_is_told),
    ]
}

pub(crate) fn tombstones() -> Vec<Check> {
    vec![
        check("a write older than a delete is refused: 409", older_than_delete),
        check("a delete of a document that is not there answers 404, and is remembered", missing_is_remembered),
        check("a delete is remembered past a flush", past_a_flush),
        check("a delete is forgotten when the index is closed and opened", forgotten_by_close),
        check("if a delete and a write have the same version, the later one wins", same_version),
        check("a delete with another routing answers 404 and leaves the document", other_routing),
        check("a delete with an external version creates a missing index", delete_creates),
        check("… also with `require_alias`", delete_creates_despite_require_alias),
        check("a point in time can be opened", point_in_time),
    ]
}

async fn plain(lab: &Lab) -> String {
    lab.index(Value::Null, Value::Null).await
}

async fn equal_is_accepted(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let lines = [5, 5, 9].map(|version| write(&index, "a", version, "{}")).concat();
    statuses(lab.bulk(&lines).await, &[201, 200, 200])
}

async fn lower_is_refused(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let lines = [5, 4].map(|version| write(&index, "a", version, "{}")).concat() + &delete(&index, "a", 3);
    let items = lab.bulk(&lines).await;
    if let Ok(items) = &items {
        let conflict = |(_, kind): &(u16, String)| kind == "version_conflict_engine_exception";
        holds("the type of the error", items[1..].iter().all(conflict))?;
    }
    statuses(items, &[201, 409, 409])
}

async fn extremes(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let lines = [0, i64::MAX].map(|version| write(&index, "a", version, "{}")).concat();
    statuses(lab.bulk(&lines).await, &[201, 200])
}

async fn version_is_told(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    lab.bulk(&write(&index, "a", 3_652_000_000_000_000_001, "{}")).await.unwrap();
    let (_, document) = lab.get(&format!("{index}/_doc/a")).await;
    holds("the number came back whole", document["_version"] == json!(3_652_000_000_000_000_001_u64))
}

async fn older_than_delete(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let lines = write(&index, "a", 1, "{}") + &delete(&index, "a", 200) + &write(&index, "a", 150, "{}");
    statuses(lab.bulk(&lines).await, &[201, 200, 409])
}

async fn missing_is_remembered(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let lines = delete(&index, "a", 200) + &write(&index, "a", 150, "{}");
    statuses(lab.bulk(&lines).await, &[404, 409])
}

async fn past_a_flush(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    lab.bulk(&(write(&index, "a", 1, "{}") + &delete(&index, "a", 200))).await.unwrap();
    lab.done(Method::Post, &format!("{index}/_flush?force=true"), Value::Null).await;
    statuses(lab.bulk(&write(&index, "a", 150, "{}")).await, &[409])
}

async fn forgotten_by_close(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    lab.bulk(&(write(&index, "a", 1, "{}") + &delete(&index, "a", 200))).await.unwrap();
    for what in ["_flush?force=true", "_close", "_open?wait_for_active_shards=1"] {
        lab.done(Method::Post, &format!("{index}/{what}"), Value::Null).await;
    }
    statuses(lab.bulk(&write(&index, "a", 150, "{}")).await, &[201])
}

async fn same_version(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let lines = write(&index, "a", 5, "{}") + &delete(&index, "a", 5) + &write(&index, "a", 5, "{}");
    statuses(lab.bulk(&lines).await, &[201, 200, 201])
}

async fn other_routing(lab: Arc<Lab>) -> Outcome {
    let index = lab.index(Value::Null, json!({"index.number_of_shards": 8})).await;
    let path = |routing: u32| format!("{index}/_doc/a?routing={routing}&version=5&version_type=external_gte");
    lab.done(Method::Put, &path(0), json!({})).await;
    let mut missed = 0;
    for routing in 1..9 {
        let (status, _) = lab.ask(Method::Delete, &path(routing), Value::Null).await;
        missed += u32::from(status == 404);
    }
    holds("some of 8 other routings miss the document", missed > 0)
}

async fn creates(lab: &Lab, query: &str) -> Outcome {
    let index = streamdex_testkit::engines::unique_name("compat");
    let path = format!("{index}/_doc/a?version=5&version_type=external_gte{query}");
    lab.ask(Method::Delete, &path, Value::Null).await;
    let (status, _) = lab.get(&index).await;
    if status == 200 { Ok(()) } else { Err("no index".to_owned()) }
}

async fn delete_creates(lab: Arc<Lab>) -> Outcome {
    creates(&lab, "").await
}

async fn delete_creates_despite_require_alias(lab: Arc<Lab>) -> Outcome {
    let index = streamdex_testkit::engines::unique_name("compat");
    let action = json!({"delete": {"_index": index, "_id": "a", "version": 5, "version_type": "external_gte", "require_alias": true}});
    let answered = lab.bulk(&format!("{action}\n")).await;
    let (status, _) = lab.get(&index).await;
    if status == 200 { Ok(()) } else { statuses(answered, &[404]).and(Err("no index".to_owned())) }
}

async fn point_in_time(lab: Arc<Lab>) -> Outcome {
    let index = plain(&lab).await;
    let (status, _) = lab.ask(Method::Post, &format!("{index}/_search/point_in_time?keep_alive=1m"), Value::Null).await;
    if status == 200 { Ok(()) } else { Err(format!("no ({status})")) }
}
