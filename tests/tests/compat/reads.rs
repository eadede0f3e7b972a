//! Reading what an index holds: documents by their addresses, and every id.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;
use streamdex_mapping::{Address, DocumentId, IndexName};
use streamdex_sink::read::{ClusterReader, HeldIndex, IndexReader, Slice};
use streamdex_testkit::engines::unique_name;

use super::check::{Check, check};
use super::lab::{Lab, logical};
use super::outcome::{Outcome, holds};

/// More than one page.
const DOCUMENTS: usize = 10_500;

pub(crate) fn checks() -> Vec<Check> {
    vec![
        check("documents are read by index and id exactly as they were written, with all digits", by_address),
        check("a document is not found under another routing", by_routing),
        check("every id of an index is listed once, slice by slice, with its version and routing", every_id),
        check("a missing index is not listed, and an existing index of a placeholder is", which_are_there),
    ]
}

/// An index with three shards, as set-up makes it.
async fn reader(lab: &Lab) -> (ClusterReader, HeldIndex, IndexName) {
    let name = unique_name("compat");
    let indices = Arc::new(lab.indices_with(&name, "number_of_shards = 3"));
    indices.ensure(&logical(&name)).await.unwrap();
    let reader = ClusterReader::new(lab.client.clone(), indices);
    let held = reader.held("sessions").await.unwrap().pop().expect("the index is there");
    (reader, held, logical(&name))
}

fn address(index: &IndexName, id: &str, routing: Option<&str>) -> Address {
    Address { index: index.clone(), id: DocumentId::parse(id).unwrap(), routing: routing.map(Arc::from) }
}

fn line(concrete: &str, id: &str, routing: Option<&str>, version: u64, source: &str) -> String {
    let mut action = json!({"_index": concrete, "_id": id, "version": version, "version_type": "external_gte"});
    if let Some(routing) = routing {
        action["routing"] = json!(routing);
    }
    format!("{}\n{source}\n", json!({ "index": action }))
}

async fn by_address(lab: Arc<Lab>) -> Outcome {
    let (reader, held, index) = reader(&lab).await;
    let source = r#"{"n":1.50,"m":12345678901234567890123456789012345678, "s":"é\u0001"}"#;
    lab.bulk(&line(&held.concrete, "a|b", None, 7, source)).await.unwrap();
    let found = reader.get(&[address(&index, "none", None), address(&index, "a|b", None)]).await.unwrap();
    holds("what was not written is not there", found[0].is_none())?;
    let found = found[1].as_ref().map(|found| (found.version, &*found.source));
    holds("the document came back as it was written", found == Some((7, source.as_bytes())))
}

async fn by_routing(lab: Arc<Lab>) -> Outcome {
    let (reader, held, index) = reader(&lab).await;
    let ids: Vec<String> = (0..20).map(|number| format!("d{number}")).collect();
    let lines: String = ids.iter().map(|id| line(&held.concrete, id, Some("one"), 1, "{}")).collect();
    lab.bulk(&lines).await.unwrap();
    let right: Vec<Address> = ids.iter().map(|id| address(&index, id, Some("one"))).collect();
    holds("each is found under its routing", reader.get(&right).await.unwrap().iter().all(Option::is_some))?;
    let wrong: Vec<Address> = ids.iter().map(|id| address(&index, id, None)).collect();
    let found = reader.get(&wrong).await.unwrap();
    holds("some are on another shard than their ids say", found.iter().any(Option::is_none))
}

async fn every_id(lab: Arc<Lab>) -> Outcome {
    let (reader, held, _) = reader(&lab).await;
    for chunk in (0..DOCUMENTS).collect::<Vec<_>>().chunks(3_500) {
        let mut lines = String::new();
        for number in chunk {
            let routing = number.is_multiple_of(2).then(|| format!("r{}", number % 7));
            let _ = write!(lines, "{}", line(&held.concrete, &format!("d{number}"), routing.as_deref(), 3, "{}"));
        }
        lab.bulk(&lines).await.unwrap();
    }
    reader.refresh(&held).await.unwrap();
    holds("the shards are known", held.shards == 3)?;
    for of in [1, 3] {
        let mut ids = BTreeSet::new();
        let mut listed = 0;
        for number in 0..of {
            let mut page = reader.begin(&held, Slice { number, of }).await.unwrap();
            loop {
                for entry in &page.entries {
                    let number: usize = entry.id.trim_start_matches('d').parse().unwrap();
                    let routing = number.is_multiple_of(2).then(|| format!("r{}", number % 7));
                    holds(
                        "version and routing are listed",
                        (entry.version, entry.routing.as_deref()) == (3, routing.as_deref()),
                    )?;
                }
                listed += page.entries.len();
                ids.extend(page.entries.iter().map(|entry| entry.id.clone()));
                match page.next {
                    Some(walk) => page = reader.go_on(walk).await.unwrap(),
                    None => break,
                }
            }
        }
        holds("each is listed once", (listed, ids.len()) == (DOCUMENTS, DOCUMENTS))?;
    }
    holds("they are counted", reader.count(&held).await.unwrap() == u64::try_from(DOCUMENTS).unwrap())?;
    holds("some are taken at random", reader.sample(&held, 50).await.unwrap().len() == 50)
}

async fn which_are_there(lab: Arc<Lab>) -> Outcome {
    let (name, other) = (unique_name("compat"), unique_name("compat"));
    let more = format!("\n[[route]]\nindex = \"{other}-{{city}}\"\nid = [\"user_id\", \"session_id\"]\n");
    let indices = Arc::new(lab.indices(&name, &more));
    let reader = ClusterReader::new(lab.client.clone(), indices.clone());
    holds("none is there", reader.held("sessions").await.unwrap().is_empty())?;
    indices.ensure(&logical(&format!("{other}-cork"))).await.unwrap();
    let held = reader.held("sessions").await.unwrap();
    let held: Vec<(&str, &str)> = held.iter().map(|held| (held.index.as_str(), held.concrete.as_str())).collect();
    let (index, concrete) = (format!("{other}-cork"), format!("{other}-cork-000001"));
    holds("the one that an attribute gave is there", held == [(index.as_str(), concrete.as_str())])
}
