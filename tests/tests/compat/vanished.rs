//! An index that is gone, or made again by someone else, is recognised by its UUID.

use std::sync::Arc;

use opensearch::http::Method;
use serde_json::Value;
use streamdex_sink::index::{SetupError, SetupErrorKind, VanishedIndex};
use streamdex_testkit::engines::unique_name;

use super::check::{Check, check};
use super::lab::{Lab, delete, logical};
use super::outcome::{Outcome, equal, holds};

pub(crate) fn checks() -> Vec<Check> {
    vec![
        check("a deleted index is reported", deleted),
        check("an index that a late delete made again is recognised by its UUID and left alone", impostor),
        check("after a restart, a deleted index is still a gap, and is not made again", restart),
        check("a closed index is not a gap", closed),
        check("an index behind a user's alias is watched too", behind_alias),
    ]
}

fn found(vanished: &[VanishedIndex]) -> Vec<Option<&str>> {
    vanished.iter().map(|vanished| vanished.found_uuid.as_deref()).collect()
}

async fn deleted(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let indices = lab.indices(&name, "");
    let target = indices.ensure(&logical(&name)).await.unwrap();
    equal("before", indices.watch().await.unwrap(), Vec::new())?;
    lab.done(Method::Delete, &target.concrete, Value::Null).await;
    let gone = indices.watch().await.unwrap();
    equal("found", found(&gone), vec![None])?;
    equal("expected UUID", Some(&gone[0].expected_uuid), target.uuid.as_ref())
}

async fn impostor(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let indices = lab.indices(&name, "");
    let index = indices.ensure(&logical(&name)).await.unwrap().concrete.clone();
    lab.done(Method::Delete, &index, Value::Null).await;
    let _ = lab.bulk(&delete(&index, "a", 5)).await;
    let (_, shown) = lab.get(&format!("{index}/_settings/index.uuid?flat_settings=true")).await;
    let uuid = shown[&index]["settings"]["index.uuid"].as_str().unwrap_or("none").to_owned();
    let gone = indices.watch().await.unwrap();
    equal("found", found(&gone), vec![Some(uuid.as_str())])?;
    let again = indices.watch().await.unwrap();
    equal("the second look", again, gone)
}

async fn restart(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let first = lab.indices(&name, "");
    let index = first.ensure(&logical(&name)).await.unwrap().concrete.clone();
    let known = first.known();
    equal("known indices", known.len(), 1)?;
    lab.done(Method::Delete, &index, Value::Null).await;

    let second = lab.indices(&name, "");
    second.remember(known);
    equal("watch", found(&second.watch().await.unwrap()), vec![None])?;
    let refused = second.ensure(&logical(&name)).await.unwrap_err();
    equal("kind", refused.kind(), SetupErrorKind::Gap)?;
    holds("error", matches!(refused, SetupError::Vanished(_)))?;
    let (status, _) = lab.get(&index).await;
    equal("status of the index", status, 404)?;
    // a new generation is the remedy
    let third = lab.indices(&name, "generation = 2\n");
    third.remember(first.known());
    third.ensure(&logical(&name)).await.unwrap();
    equal("watch of the new generation", third.watch().await.unwrap(), Vec::new())
}

async fn closed(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let indices = lab.indices(&name, "");
    let index = indices.ensure(&logical(&name)).await.unwrap().concrete.clone();
    lab.done(Method::Post, &format!("{index}/_close"), Value::Null).await;
    equal("watch", indices.watch().await.unwrap(), Vec::new())
}

async fn behind_alias(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let index = lab.index(Value::Null, Value::Null).await;
    lab.done(Method::Put, &format!("{index}/_alias/{name}"), Value::Null).await;
    let indices = lab.indices(&name, "manage = \"check\"\n");
    indices.ensure(&logical(&name)).await.unwrap();
    equal("watch", indices.watch().await.unwrap(), Vec::new())?;
    lab.done(Method::Delete, &index, Value::Null).await;
    equal("found", found(&indices.watch().await.unwrap()), vec![None])
}
