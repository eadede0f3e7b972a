//! Operations that fail the whole bulk request, and so must never be sent; and compressed requests.

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use streamdex_sink::BodyEncoding;

use super::check::{Check, check};
use super::lab::{Lab, delete, statuses, write};
use super::outcome::Outcome;

pub(crate) fn checks() -> Vec<Check> {
    vec![
        poison("an `_id` of more than 512 bytes", |index| write(index, &"x".repeat(513), 1, "{}")),
        check("an `_id` of 512 bytes is taken", |lab: Arc<Lab>| async move {
            let index = lab.index(Value::Null, Value::Null).await;
            statuses(lab.bulk(&write(&index, &"x".repeat(512), 1, "{}")).await, &[201])
        }),
        poison("a negative version", |index| write(index, "b", -1, "{}")),
        poison("a version above 2^63-1", |index| {
            write(index, "b", 1, "{}").replace("\"version\":1", "\"version\":9223372036854775808")
        }),
        poison("`_type` beside the index", |index| {
            write(index, "b", 1, "{}").replace("\"_id\"", "\"_type\":\"_doc\",\"_id\"")
        }),
        poison("an unknown key beside the index", |index| {
            write(index, "b", 1, "{}").replace("\"_id\"", "\"_colour\":\"red\",\"_id\"")
        }),
        poison("no line break at the end", |index| delete(index, "b", 1).trim_end().to_owned()),
        check("an empty index name is the error of its operation alone: 400", |lab: Arc<Lab>| async move {
            let index = lab.index(Value::Null, Value::Null).await;
            statuses(lab.bulk(&(write(&index, "a", 1, "{}") + &write("", "b", 1, "{}"))).await, &[201, 400])
        }),
        check("an index name with upper case is the error of its operation alone", |lab: Arc<Lab>| async move {
            let index = lab.index(Value::Null, Value::Null).await;
            statuses(lab.bulk(&(write(&index, "a", 1, "{}") + &write("Upper", "b", 1, "{}"))).await, &[201, 400])
        }),
        check("a gzip body is taken", gzip),
    ]
}

/// A good operation and a bad one: the good one must not be carried out either.
fn poison(name: &'static str, bad: fn(&str) -> String) -> Check {
    check(name, move |lab: Arc<Lab>| async move {
        let index = lab.index(Value::Null, Value::Null).await;
        let lines = write(&index, "a", 1, "{}") + &bad(&index);
        let answered = lab.bulk(&lines).await;
        match answered {
            Err((400, _)) => {
                let (status, _) = lab.get(&format!("{index}/_doc/a")).await;
                if status == 404 { Ok(()) } else { Err("400, but the other operation was carried out".to_owned()) }
            }
            Err((status, kind)) => Err(format!("{status} `{kind}`")),
            Ok(items) => Err(format!(
                "not as a whole: {}",
                items.iter().map(|(status, _)| status.to_string()).collect::<Vec<_>>().join(", ")
            )),
        }
    })
}

async fn gzip(lab: Arc<Lab>) -> Outcome {
    let index = lab.index(Value::Null, Value::Null).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(write(&index, "a", 1, "{}").as_bytes()).unwrap();
    let body = encoder.finish().unwrap().into();
    statuses(lab.bulk_bytes(body, BodyEncoding::Gzip).await, &[201])
}
