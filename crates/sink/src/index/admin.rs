//! Administrative requests of index set-up.

use opensearch::http::Method;
use serde_json::Value;
use streamdex_config::Manage;
use url::form_urlencoded::byte_serialize;

use super::error::SetupError;
use super::flavour::Engine;
use super::observe::{Observed, ObservedIndex};
use super::owner::Owner;
use super::reply::Reply;
use super::steps::Step;
use super::template::Installed;
use super::wanted::{Alias, Wanted};
use crate::client::Client;
use crate::scheme;

/// The first line of a request may have 4,096 bytes on the engines.
const LONGEST_NAMES: usize = 3000;

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
///
/// # Errors
/// No answer, an answer that passes by itself, or what answers is not a search engine.
pub(crate) async fn engine(client: &Client) -> Result<Engine, SetupError> {
    let reply = match client.json(Method::Get, "", None).await {
        Ok(answer) => Reply::read(&answer),
        Err(error) => return Err(scheme::recognise(client, error).await.into()),
    };
    // Without a user nothing else is answered either.
    if matches!(reply.status, 401 | 408 | 429 | 500..) {
        return Err(reply.refused("say its version"));
    }
    if let Some(engine) = Engine::read(reply.status, &reply.body) {
        return Ok(engine);
    }
    // Some servers answer plain HTTP on a port for TLS with a page that says so.
    if let Some(error) = scheme::mismatch(client).await {
        return Err(error.into());
    }
    let (endpoint, status, what) = (client.endpoint().to_owned(), reply.status, reply.what());
    Err(SetupError::NotOpenSearch { endpoint, status, what })
}

/// Everything that is to be known of the names of an index. Aliases are asked for only where set-up makes them, or
/// where the index behind one is known: credentials for an index of the user's may know nothing else.
pub(crate) async fn observe(client: &Client, wanted: &Wanted) -> Result<Observed, SetupError> {
    let others = match wanted.manage {
        Manage::Create => wanted.aliases().into_iter().map(|alias| wanted.alias_name(alias)).collect(),
        Manage::Check | Manage::Never => vec![wanted.index.clone()],
    };
    let mut names: Vec<String> = std::iter::once(wanted.concrete.clone()).chain(others).collect();
    names.dedup();
    get_indices(client, &names, Part::Whole, &format!("describe the index {}", wanted.concrete)).await
}

/// The UUIDs of some indices, with as few requests as the length of a request line allows.
pub(crate) async fn uuids(client: &Client, names: &[String]) -> Result<Observed, SetupError> {
    let mut observed = Observed::default();
    for chunk in chunks(names) {
        observed.extend(get_indices(client, &chunk, Part::Uuid, "return the UUIDs of the indices").await?);
    }
    Ok(observed)
}

/// Whether there is an index, or an alias, of this name. That there is none is believed when OpenSearch itself says so,
/// twice.
pub(crate) async fn exists(client: &Client, name: &str) -> Result<bool, SetupError> {
    for _ in 0..2 {
        if !get_alone(client, name, Part::Whole, &format!("describe the index {name}")).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The indices whose names match a pattern with `*`; none where OpenSearch lists none.
pub(crate) async fn matching(client: &Client, pattern: &str) -> Result<Vec<(String, ObservedIndex)>, SetupError> {
    let path = Part::Whole.path(&escape(pattern).replace("%2A", "*"), "expand_wildcards=open,hidden&");
    let reply = ask(client, Method::Get, &path, None).await?;
    let observed = Part::Whole.read(&reply, &format!("list the indices {pattern}"))?;
    Ok(observed.into_indices().collect())
}

/// Which part of an index is asked for.
#[derive(Debug, Clone, Copy)]
enum Part {
    Whole,
    Uuid,
}

/// Asks for several names at once. A name that the answer leaves out is asked for alone: that an index is not there is
/// believed when OpenSearch says so with its own error.
async fn get_indices(client: &Client, names: &[String], part: Part, action: &str) -> Result<Observed, SetupError> {
    let all = names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(",");
    let reply = ask(client, Method::Get, &part.path(&all, "ignore_unavailable=true&"), None).await?;
    // Not needed by the tested engines, which answer with an empty object.
    let mut observed = if reply.says_no_index() { Observed::default() } else { part.read(&reply, action)? };
    for name in names {
        if !observed.knows(name) {
            observed.extend(get_alone(client, name, part, action).await?);
        }
    }
    Ok(observed)
}

/// The indices behind one name, none where OpenSearch says that there are none.
async fn get_alone(client: &Client, name: &str, part: Part, action: &str) -> Result<Observed, SetupError> {
    let reply = ask(client, Method::Get, &part.path(&escape(name), ""), None).await?;
    if reply.says_no_index() {
        return Ok(Observed::default());
    }
    let observed = part.read(&reply, action)?;
    if observed.is_empty() { Err(reply.unexpected(action)) } else { Ok(observed) }
}

impl Part {
    fn path(self, names: &str, options: &str) -> String {
        let what = match self {
            Part::Whole => "",
            Part::Uuid => "/_settings/index.uuid",
        };
        format!("{names}{what}?{options}flat_settings=true")
    }

    fn read(self, reply: &Reply, action: &str) -> Result<Observed, SetupError> {
        let members = reply.members(action)?;
        let observed = match self {
            Part::Whole => Observed::of_indices(members),
            Part::Uuid => Observed::of_uuids(members),
        };
        observed.ok_or_else(|| reply.unexpected(action))
    }
}

/// The index template of `wanted` that is installed.
pub(crate) async fn template(client: &Client, wanted: &Wanted) -> Result<Installed, SetupError> {
    let name = wanted.template_name();
    let action = format!("show the index template {name}");
    let reply = ask(client, Method::Get, &format!("_index_template/{}", escape(&name)), None).await?;
    if reply.status == 404 && reply.kind() == "resource_not_found_exception" {
        return Ok(Installed::Missing);
    }
    let found = reply.members(&action)?.get("index_templates").and_then(Value::as_array);
    let found = found.and_then(|templates| templates.iter().find(|template| template["name"] == name.as_str()));
    let body = found.and_then(|template| template.get("index_template")).and_then(Value::as_object);
    Ok(Installed::compare(wanted, body.ok_or_else(|| reply.unexpected(action))?))
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
        Step::Template | Step::RenewTemplate => {
            (Method::Put, format!("_index_template/{}", escape(&wanted.template_name())), wanted.template_body())
        }
        Step::Create(aliases) => (Method::Put, escape(&wanted.concrete), wanted.create_body(aliases)),
        Step::AddAliases(aliases) => {
            (Method::Post, "_aliases".to_owned(), alias_actions(wanted, &wanted.concrete, aliases))
        }
        Step::UpdateFilter(index) => {
            (Method::Post, "_aliases".to_owned(), alias_actions(wanted, index, &[Alias::Live]))
        }
    };
    let reply = ask(client, method, &path, Some(&body)).await?;
    if matches!(step, Step::Create(_)) && reply.kind() == "resource_already_exists_exception" {
        return Ok(());
    }
    reply.acknowledged(&step.describe(wanted))
}

/// Adds a group to those that an index of ours names.
pub(crate) async fn name_group(client: &Client, wanted: &Wanted, group: &str) -> Result<(), SetupError> {
    let observed = observe(client, wanted).await?;
    let mapping = observed.index(&wanted.concrete).map(|index| &index.mapping);
    let Some(meta) = mapping.and_then(|mapping| Owner::meta_with_group(mapping, group)) else { return Ok(()) };
    let path = format!("{}/_mapping", escape(&wanted.concrete));
    let reply = ask(client, Method::Put, &path, Some(&serde_json::json!({ "_meta": meta }))).await?;
    reply.acknowledged(&format!("record the group in the index {}", wanted.concrete))
}

/// Adds aliases to an index; an existing alias gets the filter.
fn alias_actions(wanted: &Wanted, index: &str, aliases: &[Alias]) -> Value {
    let add = |alias: &Alias| {
        let mut action = serde_json::Map::new();
        action.insert("index".to_owned(), index.into());
        action.insert("alias".to_owned(), wanted.alias_name(*alias).into());
        action.extend(wanted.alias_body(*alias).as_object().cloned().unwrap_or_default());
        serde_json::json!({"add": action})
    };
    serde_json::json!({"actions": aliases.iter().map(add).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
