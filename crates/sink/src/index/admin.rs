//! Administrative requests of index set-up, and their answers as errors.

use opensearch::http::Method;
use serde_json::Value;
use streamdex_config::Manage;
use url::form_urlencoded::byte_serialize;

use super::error::SetupError;
use super::flavour::Flavour;
use super::observe::Observed;
use super::steps::Step;
use super::wanted::{Alias, Wanted};
use crate::client::{Answer, Client};

/// The first line of a request may have 4,096 bytes on the engines.
const LONGEST_NAMES: usize = 3000;

/// An answer, read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

// === impl Reply ===

impl Reply {
    fn read(answer: &Answer) -> Reply {
        Reply { status: answer.status, body: answer.json().unwrap_or_default() }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The type of the error, as `resource_already_exists_exception`.
    pub(crate) fn kind(&self) -> &str {
        self.body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default()
    }

    /// The answer as an error of what was asked.
    pub(crate) fn refused(&self, action: String) -> SetupError {
        let reason = ["/error/caused_by/reason", "/error/reason", "/message", "/Message", "/error"]
            .iter()
            .find_map(|path| self.body.pointer(path).and_then(Value::as_str))
            .unwrap_or("no reason was given");
        SetupError::Refused { action, status: self.status, kind: self.kind().to_owned(), reason: reason.to_owned() }
    }
}

/// Sends one request; an answer of any status is `Ok`.
pub(crate) async fn ask(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Reply, SetupError> {
    Ok(Reply::read(&client.json(method, path, body).await?))
}

/// An index, alias or template name inside a path.
pub(crate) fn escape(name: &str) -> String {
    byte_serialize(name.as_bytes()).collect()
}

/// What the engine says about itself.
pub(crate) async fn flavour(client: &Client) -> Result<Flavour, SetupError> {
    let reply = ask(client, Method::Get, "", None).await?;
    if matches!(reply.status, 429 | 500..) {
        return Err(reply.refused("say its version".to_owned()));
    }
    Ok(Flavour::read(reply.status, &reply.body))
}

/// Everything that is to be known of the names of an index. Aliases are asked for only where set-up makes them:
/// credentials for an index of the user's may know nothing else.
pub(crate) async fn observe(client: &Client, wanted: &Wanted) -> Result<Observed, SetupError> {
    let aliases = if wanted.manage == Manage::Create { wanted.aliases() } else { Vec::new() };
    let aliases = aliases.into_iter().map(|alias| wanted.alias_name(alias));
    let mut names: Vec<String> = std::iter::once(wanted.concrete.clone()).chain(aliases).collect();
    names.dedup();
    get_indices(client, &names, "", &format!("describe the index {}", wanted.concrete)).await
}

/// The UUIDs of some indices, with as few requests as the length of a request line allows.
pub(crate) async fn uuids(client: &Client, names: &[String]) -> Result<Vec<Observed>, SetupError> {
    let mut observed = Vec::new();
    for chunk in chunks(names) {
        observed.push(get_indices(client, &chunk, "/_settings/index.uuid", "tell the UUIDs of the indices").await?);
    }
    Ok(observed)
}

async fn get_indices(client: &Client, names: &[String], what: &str, action: &str) -> Result<Observed, SetupError> {
    let names = names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(",");
    let path = format!("{names}{what}?ignore_unavailable=true&flat_settings=true");
    let reply = ask(client, Method::Get, &path, None).await?;
    match reply.status {
        // Not needed by the tested engines, which answer with an empty object.
        404 if reply.kind() == "index_not_found_exception" => Ok(Observed::default()),
        _ if reply.is_success() => Ok(Observed::read(&reply.body)),
        _ => Err(reply.refused(action.to_owned())),
    }
}

fn chunks(names: &[String]) -> Vec<Vec<String>> {
    let mut chunks: Vec<Vec<String>> = Vec::new();
    let mut length = 0;
    for name in names {
        length += escape(name).len() + 1;
        match chunks.last_mut() {
            Some(chunk) if length <= LONGEST_NAMES => chunk.push(name.clone()),
            _ => {
                length = escape(name).len() + 1;
                chunks.push(vec![name.clone()]);
            }
        }
    }
    chunks
}

/// Carries one step out. Another worker that was first is a success.
pub(crate) async fn perform(client: &Client, wanted: &Wanted, step: &Step) -> Result<(), SetupError> {
    let (method, path, body) = match step {
        Step::Template => {
            (Method::Put, format!("_index_template/{}", escape(&wanted.template_name())), wanted.template_body())
        }
        Step::Create(aliases) => (Method::Put, escape(&wanted.concrete), wanted.create_body(aliases)),
        Step::AddAliases(aliases) => (Method::Post, "_aliases".to_owned(), alias_actions(wanted, aliases)),
    };
    let reply = ask(client, method, &path, Some(&body)).await?;
    let already_there = matches!(step, Step::Create(_)) && reply.kind() == "resource_already_exists_exception";
    if reply.is_success() || already_there {
        return Ok(());
    }
    Err(reply.refused(step.describe(wanted)))
}

fn alias_actions(wanted: &Wanted, aliases: &[Alias]) -> Value {
    let add = |alias: &Alias| {
        let mut action = serde_json::Map::new();
        action.insert("index".to_owned(), wanted.concrete.clone().into());
        action.insert("alias".to_owned(), wanted.alias_name(*alias).into());
        action.extend(wanted.alias_body(*alias).as_object().cloned().unwrap_or_default());
        serde_json::json!({"add": action})
    };
    serde_json::json!({"actions": aliases.iter().map(add).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(escape("sessions-000001"), "sessions-000001");
        assert_eq!(escape("50%&é"), "50%25%26%C3%A9");
    }

    #[test]
    fn request_lines_stay_short() {
        assert!(chunks(&[]).is_empty());
        let names: Vec<String> = (0..100).map(|number| format!("{}-{number:06}", "x".repeat(90))).collect();
        let chunks = chunks(&names);
        assert_eq!(chunks.concat(), names);
        assert!(chunks.len() > 1);
        assert!(chunks.iter().all(|chunk| chunk.join(",").len() <= LONGEST_NAMES));
    }

    #[test]
    fn errors_of_the_engine_and_of_what_stands_before_it_are_read() {
        let reply = |status, body| Reply { status, body };
        let engine = reply(
            400,
            json!({"error": {"type": "illegal_argument_exception", "reason": "no", "caused_by": {"reason": "why"}}}),
        );
        assert_eq!(
            engine.refused("look".into()).to_string(),
            "OpenSearch refused to look (400 illegal_argument_exception): why"
        );
        assert!(reply(403, json!({"Message": "not you"})).refused("look".into()).to_string().ends_with("not you"));
        assert!(
            reply(405, json!({"error": "wrong method"})).refused("look".into()).to_string().ends_with("wrong method")
        );
        assert!(reply(502, Value::Null).refused("look".into()).to_string().ends_with("no reason was given"));
    }
}
