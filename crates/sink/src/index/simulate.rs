//! Simulates the creation of an index, with the templates that apply to it.

use opensearch::http::Method;
use serde_json::{Map, Value};

use super::admin::{ask, escape};
use super::error::SetupError;
use super::finding::{Code, Finding};
use super::merge::{FlatSettings, flatten_settings, merge_settings, overlay_mapping};
use super::template::Installed;
use super::wanted::Wanted;
use crate::client::Client;

/// The state that an index would have after its creation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    pub(crate) settings: FlatSettings,
    pub(crate) mapping: Map<String, Value>,
    /// Aliases that a template of the user's adds.
    pub(crate) aliases: Map<String, Value>,
    /// What is to be known about the templates.
    pub(crate) findings: Vec<Finding>,
}

const SIMULATED: &str = "simulate_index_template_";

/// Asks OpenSearch which template it would use for the index, with ours among them, and lays the create
/// request over it. Changes nothing.
///
/// # Errors
/// There is no answer, or OpenSearch refuses the template, as it would when asked to install it. An engine that
/// cannot simulate gives the wanted state with a finding.
pub(crate) async fn simulate(client: &Client, wanted: &Wanted, installed: Installed) -> Result<Effective, SetupError> {
    let path = format!("_index_template/_simulate_index/{}", escape(&wanted.concrete));
    let reply = ask(client, Method::Post, &path, body(wanted, installed).as_ref()).await?;
    let action = format!("simulate the index template {}", wanted.template_name());
    if matches!(reply.status, 403..=405) && reply.body.is_object() {
        let what = format!("the engine answered {} to the simulation", reply.status);
        return Ok(not_simulated(wanted, &what));
    }
    if !reply.members(&action)?.contains_key("template") {
        return Err(reply.unexpected(action));
    }
    let mut findings = Vec::new();
    if ours_lost(wanted, installed, &reply.body) {
        let winner = winner(client, wanted).await?;
        findings.push(Finding::new(
            Code::OtherTemplate,
            format!("the index template {winner} is used for {} instead of {}", wanted.concrete, wanted.template_name()),
            "lower its priority or narrow its patterns, or check below that its additions are safe; streamdex's own settings still win",
        ));
    }
    Ok(effective(wanted, &reply.body, findings))
}

/// Two templates of one pattern and priority are refused, so ours goes along only where it is not installed, and
/// just above the one that it will replace.
fn body(wanted: &Wanted, installed: Installed) -> Option<Value> {
    let mut body = wanted.template_body();
    match installed {
        Installed::Same => return None,
        Installed::Missing => {}
        Installed::Other => {
            if let Some(members) = body.as_object_mut() {
                members.insert("priority".to_owned(), (wanted.template_priority() + 1).into());
            }
        }
    }
    Some(body)
}

/// Templates that match but are not used are listed as overlapping.
fn ours_lost(wanted: &Wanted, installed: Installed, simulated: &Value) -> bool {
    let overlapping = simulated.get("overlapping").and_then(Value::as_array).into_iter().flatten();
    let mut names = overlapping.filter_map(|template| template.get("name").and_then(Value::as_str));
    names.any(|name| match installed {
        Installed::Same => name == wanted.template_name(),
        Installed::Missing | Installed::Other => name.starts_with(SIMULATED),
    })
}

fn effective(wanted: &Wanted, simulated: &Value, findings: Vec<Finding>) -> Effective {
    let part = |path: &str| simulated.pointer(path).and_then(Value::as_object).cloned().unwrap_or_default();
    let settings = merge_settings(flatten_settings(&part("/template/settings")), &wanted.settings);
    let mapping = overlay_mapping(part("/template/mappings"), &wanted.mapping);
    Effective { settings, mapping, aliases: part("/template/aliases"), findings }
}

/// The wanted state, where OpenSearch does not say what it would make of it.
pub(crate) fn not_simulated(wanted: &Wanted, why: &str) -> Effective {
    effective(wanted, &Value::Null, vec![unknown_templates(why)])
}

/// What is not known of the templates, and why.
pub(crate) fn unknown_templates(why: &str) -> Finding {
    Finding::new(
        Code::TemplatesUnknown,
        format!("cannot find out which index template applies: {why}"),
        "allow these credentials to show and simulate index templates (`streamdex iam-policy --for index --opensearch`), or look at GET /_index_template by hand",
    )
}

/// The name and priority of the template that is used instead of ours, for the message alone.
async fn winner(client: &Client, wanted: &Wanted) -> Result<String, SetupError> {
    let reply = ask(client, Method::Get, "_index_template", None).await?;
    Ok(highest(&reply.body, &wanted.concrete).unwrap_or_else(|| "of another name".to_owned()))
}

fn highest(templates: &Value, index: &str) -> Option<String> {
    let list = templates.get("index_templates").and_then(Value::as_array)?;
    let matching = list.iter().filter_map(|entry| {
        let template = entry.get("index_template")?;
        let patterns = template.get("index_patterns")?.as_array()?;
        let matches = patterns.iter().filter_map(Value::as_str).any(|pattern| matches_pattern(pattern, index));
        let priority = template.get("priority").and_then(Value::as_u64).unwrap_or(0);
        matches.then_some((priority, entry.get("name")?.as_str()?))
    });
    matching.max().map(|(priority, name)| format!("{name} (priority {priority})"))
}

/// Patterns of index templates know `*` alone.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).filter_map(|at| tail.get(at..)).any(|tail| matches_pattern(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_match_as_in_opensearch() {
        for (pattern, name, wanted) in [
            ("a-*", "a-000001", true),
            ("*", "a", true),
            ("a*b*c", "axxbc", true),
            ("a*b", "abx", false),
            ("a", "ab", false),
            ("b-*", "a-000001", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn the_template_of_highest_priority_is_named() {
        let template = |name: &str, pattern: &str, priority: Option<u64>| json!({"name": name, "index_template": {"index_patterns": [pattern], "priority": priority}});
        let templates = json!({"index_templates": [
            template("low", "*", None), template("high", "a-*", Some(900)), template("other", "b-*", Some(999))
        ]});
        assert_eq!(highest(&templates, "a-000001").as_deref(), Some("high (priority 900)"));
        assert_eq!(highest(&json!({}), "a"), None);
    }
}
