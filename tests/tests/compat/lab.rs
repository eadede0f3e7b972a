//! What every check needs of a node.

use std::path::Path;

use bytes::Bytes;
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_config::Config;
use streamdex_mapping::IndexName;
use streamdex_sink::BodyEncoding;
use streamdex_sink::index::{Indices, SetupContext};
use streamdex_testkit::engines::unique_name;

use super::outcome::Outcome;
pub(crate) use crate::lab::Node as Lab;
use crate::lab::route;

/// Status and error type of one answer or bulk item; the type is empty where there is no error.
pub(crate) type Answered = (u16, String);

impl Lab {
    /// An index with a unique name, without replicas.
    pub(crate) async fn index(&self, mapping: Value, settings: Value) -> String {
        let name = unique_name("compat");
        let mut all = json!({"index.number_of_replicas": 0});
        all.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap_or_default());
        let mapping = if mapping.is_null() { json!({}) } else { mapping };
        self.done(Method::Put, &name, json!({"settings": all, "mappings": mapping})).await;
        name
    }

    /// The indices of one route into `name`, as the TOML below and `more` describe them.
    pub(crate) fn indices(&self, name: &str, more: &str) -> Indices {
        let text = format!("{}{more}", minimal(&self.url, name));
        Indices::new(self.client.clone(), &config(&text), &SetupContext::new())
    }

    /// The indices of one route into `name`, with one more setting.
    pub(crate) fn indices_with(&self, name: &str, setting: &str) -> Indices {
        let replicas = "number_of_replicas = 0";
        let text = minimal(&self.url, name).replace(replicas, &format!("{replicas}, {setting}"));
        Indices::new(self.client.clone(), &config(&text), &SetupContext::new())
    }

    /// The concrete name of an index that our own set-up made.
    pub(crate) async fn made_by_us(&self) -> String {
        let name = unique_name("compat");
        let target = self.indices(&name, "").ensure(&logical(&name)).await.unwrap();
        target.concrete.clone()
    }

    /// A whole bulk request: its own status and type, or those of each operation.
    pub(crate) async fn bulk(&self, lines: &str) -> Result<Vec<Answered>, Answered> {
        self.bulk_bytes(Bytes::from(lines.to_owned()), BodyEncoding::Identity).await
    }

    pub(crate) async fn bulk_bytes(&self, body: Bytes, encoding: BodyEncoding) -> Result<Vec<Answered>, Answered> {
        let answer = self.client.bulk(body, encoding).await.unwrap();
        let body: Value = answer.json().unwrap_or_default();
        let Some(items) = body["items"].as_array() else {
            return Err((answer.status, text(&body["error"]["type"])));
        };
        let item = |item: &Value| {
            let item = item.as_object().unwrap().values().next().unwrap();
            (u16::try_from(item["status"].as_u64().unwrap()).unwrap(), text(&item["error"]["type"]))
        };
        Ok(items.iter().map(item).collect())
    }

    /// Sends one document into the index under a unique id.
    pub(crate) async fn send(&self, index: &str, document: &str) -> Answered {
        let lines = write(index, &unique_name("doc"), 1, document);
        self.bulk(&lines).await.map_or_else(|whole| whole, |mut items| items.remove(0))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The lines of one `index` operation.
pub(crate) fn write(index: &str, id: &str, version: i64, document: &str) -> String {
    let action = json!({"index": {"_index": index, "_id": id, "version": version, "version_type": "external_gte"}});
    format!("{action}\n{document}\n")
}

/// The line of one `delete` operation.
pub(crate) fn delete(index: &str, id: &str, version: i64) -> String {
    let action = json!({"delete": {"_index": index, "_id": id, "version": version, "version_type": "external_gte"}});
    format!("{action}\n")
}

/// The statuses of a bulk answer must be these.
pub(crate) fn statuses(answered: Result<Vec<Answered>, Answered>, wanted: &[u16]) -> Outcome {
    match answered {
        Err(whole) => Err(format!("the whole request: {}", show(&whole))),
        Ok(items) if items.iter().map(|(status, _)| *status).eq(wanted.iter().copied()) => Ok(()),
        Ok(items) => Err(items.iter().map(show).collect::<Vec<_>>().join(", ")),
    }
}

/// An answer must be this one.
pub(crate) fn answered(got: &Answered, status: u16, kind: &str) -> Outcome {
    if *got == (status, kind.to_owned()) { Ok(()) } else { Err(show(got)) }
}

pub(crate) fn accepted(got: &Answered) -> Outcome {
    if matches!(got.0, 200 | 201) { Ok(()) } else { Err(show(got)) }
}

fn show((status, kind): &Answered) -> String {
    match kind.as_str() {
        "" => format!("{status}"),
        kind => format!("{status} `{kind}`"),
    }
}

pub(crate) fn logical(name: &str) -> IndexName {
    IndexName::parse(name).unwrap()
}

pub(crate) fn config(text: &str) -> Config {
    Config::parse(text, Path::new(env!("CARGO_MANIFEST_DIR")), &|_| None).unwrap().config
}

/// Ends inside `[index.…]`, so that more of its keys can follow.
fn minimal(url: &str, index: &str) -> String {
    let source = "[source]\ntable = \"sessions\"";
    format!("{source}\n[opensearch]\nurl = \"{url}\"\n{}\nsettings = {{ number_of_replicas = 0 }}\n", route(index))
}
