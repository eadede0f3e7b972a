//! OpenSearch: what it is, the indices, and whether documents may be written.

use streamdex_config::{Auth, Config};
use streamdex_sink::index::{Code, Flavour, IndexPlan, Plan, trial};
use streamdex_sink::{Client, Indices, SetupContext, SetupError};

use super::line::Line;
use super::source::refused;
use crate::connect;

const GRANT: &str = "streamdex iam-policy --for run --opensearch prints the role that it needs";

/// The lines of OpenSearch and each index. `facts` is what the tables say of themselves.
pub(super) async fn lines(config: &Config, facts: &SetupContext) -> Vec<Line> {
    let what = "OpenSearch";
    let client = match Client::connect(&config.opensearch, &config.aws).await {
        Ok(client) => client,
        Err(error) => return vec![refused(what.to_owned(), &error.into())],
    };
    let indices = Indices::new(client.clone(), config, facts);
    if let Err(error) = connect::opensearch(&indices).await {
        return vec![refused(what.to_owned(), &error)];
    }
    let mut lines = Vec::new();
    if let Ok(flavour) = indices.flavour().await {
        lines.push(of_flavour(flavour, client.endpoint()));
        if *flavour != Flavour::Serverless {
            lines.push(of_body_limit(config, trial::body_limit(&client).await));
        }
    }
    let mut is_complete = true;
    for IndexPlan { index, result } in Box::pin(indices.plan()).await {
        match result {
            Ok(plan) => {
                is_complete &= plan.uuid.is_some();
                lines.extend(of_index(&client, &index, &plan).await);
            }
            Err(error) => lines.push(failed(format!("index {index}"), &error)),
        }
    }
    if !is_complete && !matches!(config.opensearch.auth, Auth::None) {
        let says = "whether these credentials may make and write them is not tried";
        lines.push(Line::unknown("missing indices", says, GRANT));
    }
    lines
}

fn failed(what: String, error: &SetupError) -> Line {
    Line::failed(what, error.to_string(), error.hint())
}

fn of_flavour(flavour: &Flavour, endpoint: &str) -> Line {
    let name = match flavour {
        Flavour::OpenSearch(version) => format!("OpenSearch {version}"),
        Flavour::Elasticsearch(version) => format!("Elasticsearch {version}"),
        Flavour::Serverless => "OpenSearch Serverless".to_owned(),
        _ => "an engine of unknown version".to_owned(),
    };
    let says = format!("{name} answers at {endpoint}");
    let lacks = flavour.lacks();
    if lacks.is_empty() {
        return Line::passed("OpenSearch", says);
    }
    Line::warned("OpenSearch", format!("{says}; {}", lacks.join("; ")), "docs/compatibility.md says what that means")
}

fn of_body_limit(config: &Config, limit: Result<u64, SetupError>) -> Line {
    let what = "size of requests";
    let batch = u64::try_from(config.opensearch.max_batch_bytes).unwrap_or(u64::MAX);
    match limit {
        Ok(limit) if batch > limit => Line::warned(
            what,
            format!("the nodes take {limit} bytes, and opensearch.max_batch_bytes is {batch}"),
            "lower it: what is too large is divided and sent again",
        ),
        Ok(limit) => Line::passed(what, format!("the nodes take {limit} bytes, and {batch} are sent at most")),
        Err(error) => {
            let hint = "GET /_nodes/http shows it; a domain of AWS takes 10 MiB or 100 MiB, by its type of instance";
            Line::unknown(what, format!("not known: {error}"), hint)
        }
    }
}

async fn of_index(client: &Client, index: &str, plan: &Plan) -> Vec<Line> {
    let what = || format!("index {index}");
    let is_there = plan.uuid.is_some();
    let says = match (plan.note, is_there) {
        (Some(note), _) => note.to_owned(),
        (None, true) => format!("{} is there, {} documents", plan.writes_to, documents(plan)),
        (None, false) => {
            format!("{} is not there yet; the first write makes it, or streamdex index apply", plan.writes_to)
        }
    };
    let first = match plan.note {
        Some(_) => Line::unknown(what(), says, "run it, and look again: `streamdex status --indices`"),
        None => Line::passed(what(), says),
    };
    let mut lines = vec![first];
    // `run` shows no templates, and one matters only to an index that is still to be made.
    let findings = plan.findings.iter().filter(|finding| !is_there || finding.code != Code::TemplatesUnknown);
    lines.extend(findings.map(|finding| Line::warned(what(), finding.message.clone(), finding.hint)));
    if plan.note.is_some() || !is_there {
        return lines;
    }
    let written = format!("write to {}", plan.writes_to);
    lines.push(match trial::may_write(client, &plan.writes_to).await {
        Ok(()) => Line::passed(written, "index and delete are allowed"),
        Err(error) => failed(written, &error),
    });
    lines.extend(of_policy(client, index, plan).await);
    lines
}

fn documents(plan: &Plan) -> String {
    plan.documents.as_ref().map_or_else(|| "?".to_owned(), |documents| documents.count.to_string())
}

/// A policy that rolls an index over or deletes it works against an index that equals a table.
async fn of_policy(client: &Client, index: &str, plan: &Plan) -> Option<Line> {
    let what = format!("index {index}");
    let rolled = plan.settings.keys().find(|name| name.ends_with("rollover_alias") || name.contains("lifecycle"));
    let hint = "take the policy off: a rollover starts an index that nobody writes to, and a delete is a gap";
    if let Some(setting) = rolled {
        return Some(Line::warned(what, format!("`{setting}` is set, so a policy rolls the index over"), hint));
    }
    match trial::managed_by(client, &plan.writes_to).await {
        Ok(None) => None,
        Ok(Some(policy)) => Some(Line::warned(what, format!("the policy {policy} manages the index"), hint)),
        Err(error) => {
            let command = format!("GET /_plugins/_ism/explain/{}", plan.writes_to);
            Some(Line::unknown(what, format!("whether a policy rolls it over is not known: {error}"), command))
        }
    }
}
