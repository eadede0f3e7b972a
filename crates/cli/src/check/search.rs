//! OpenSearch: what it is, the indices, and whether documents may be written.

use streamdex_config::{Auth, Config, OnGap, Source};
use streamdex_sink::index::{Code, Flavour, IndexPlan, Plan, trial};
use streamdex_sink::{Client, Indices, SetupContext, SetupError};

use super::line::Line;
use super::source::refused;
use crate::connect;
use crate::policy::domain_of;

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
        lines.extend(of_encryption(config, flavour));
        if *flavour != Flavour::Serverless {
            lines.push(of_body_limit(config, trial::body_limit(&client).await));
        }
    }
    let (mut is_complete, is_filled) = (true, config.sources.iter().any(Source::may_be_scanned));
    for IndexPlan { index, result } in Box::pin(indices.plan()).await {
        match result {
            Ok(plan) => {
                is_complete &= plan.uuid.is_some();
                lines.extend(of_index(&client, &index, &plan, is_filled).await);
            }
            Err(error) => lines.push(failed(format!("index {index}"), &error)),
        }
    }
    lines.extend(of_reads(config));
    if !is_complete && !matches!(config.opensearch.auth, Auth::None) {
        let says = "whether these credentials may create and write them was not tested";
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
    if *flavour == Flavour::Unknown {
        return Line::warned("OpenSearch", format!("{says}: these credentials may not see it"), GRANT);
    }
    let lacks = flavour.lacks();
    if lacks.is_empty() {
        return Line::passed("OpenSearch", says);
    }
    Line::warned("OpenSearch", format!("{says}; {}", lacks.join("; ")), "docs/compatibility.md says what that means")
}

/// Whether a domain encrypts what lies on its disks is known to AWS, not to OpenSearch.
fn of_encryption(config: &Config, flavour: &Flavour) -> Option<Line> {
    let what = "encryption of the domain";
    if *flavour == Flavour::Serverless {
        return Some(Line::passed("encryption of the collection", "collections are always encrypted"));
    }
    let Auth::SigV4 { region, .. } = &config.opensearch.auth else { return None };
    let name = domain_of(&config.opensearch.url).unwrap_or("NAME");
    let region = region.as_ref().map(|region| format!(" --region {region}")).unwrap_or_default();
    let command = format!(
        "aws opensearch describe-domain --domain-name {name}{region} --query 'DomainStatus.[EncryptionAtRestOptions,NodeToNodeEncryptionOptions]'"
    );
    Some(Line::unknown(what, "OpenSearch does not report it", command))
}

fn of_body_limit(config: &Config, limit: Result<u64, SetupError>) -> Line {
    let what = "size of requests";
    let batch = u64::try_from(config.opensearch.max_batch_bytes).unwrap_or(u64::MAX);
    match limit {
        Ok(limit) if batch > limit => Line::warned(
            what,
            format!("the nodes accept {limit} bytes, but opensearch.max_batch_bytes is {batch}"),
            "lower it: requests that are too large are split and sent again",
        ),
        Ok(limit) => Line::passed(what, format!("the nodes accept {limit} bytes, and a request has at most {batch}")),
        Err(error) => {
            let hint =
                "GET /_nodes/http shows it; an AWS domain accepts 10 MiB or 100 MiB, depending on its instance type";
            Line::unknown(what, format!("not known: {error}"), hint)
        }
    }
}

async fn of_index(client: &Client, index: &str, plan: &Plan, is_filled: bool) -> Vec<Line> {
    let what = || format!("index {index}");
    let is_there = plan.uuid.is_some();
    let says = match (plan.note, is_there) {
        (Some(note), _) => note.to_owned(),
        (None, true) => format!("{} exists, {} documents", plan.writes_to, documents(plan)),
        (None, false) => {
            format!("{} does not exist yet; the first write or `streamdex index apply` creates it", plan.writes_to)
        }
    };
    let first = match plan.note {
        Some(_) => Line::unknown(what(), says, "run it, and check again: `streamdex status --indices`"),
        None => Line::passed(what(), says),
    };
    let mut lines = vec![first];
    // `run` shows no templates, and one matters only to an index that is still to be made.
    let findings = plan.findings.iter().filter(|finding| !is_there || finding.code != Code::TemplatesUnknown);
    lines.extend(findings.map(|finding| Line::warned(what(), finding.message.clone(), finding.hint)));
    if plan.note.is_some() || !is_there {
        return lines;
    }
    lines.extend(tried(client, plan).await);
    lines.extend(of_searches(plan, is_filled));
    lines.extend(of_policy(client, index, plan).await);
    lines
}

/// Tests the requests of `run` on an existing index: a line for each refusal, or one line if all are allowed.
async fn tried(client: &Client, plan: &Plan) -> Vec<Line> {
    let concrete = &*plan.writes_to;
    let mut results = vec![("write to", "index and delete", trial::may_write(client, concrete).await)];
    // Fields of an index of the user's come with documents alone, which IAM allows as writes.
    if plan.manage == "create" {
        results.push(("new fields in", "new fields", trial::may_add_fields(client, concrete).await));
    }
    results.push(("the UUID of", "reading its UUID", trial::may_watch(client, concrete).await));
    let refused = results.iter().filter_map(|(what, _, tried)| {
        let error = tried.as_ref().err()?;
        Some(failed(format!("{what} {concrete}"), error))
    });
    let mut lines: Vec<Line> = refused.collect();
    if lines.is_empty() {
        let allowed: Vec<&str> = results.iter().map(|(_, allowed, _)| *allowed).collect();
        lines.push(Line::passed(format!("write to {concrete}"), format!("allowed: {}", allowed.join(", "))));
    }
    lines
}

/// Searches that are refused: `run` counts the documents of an index that it may have to fill.
fn of_searches(plan: &Plan, is_filled: bool) -> Option<Line> {
    let documents = plan.documents.as_ref()?;
    let problem = documents.problem.as_ref()?;
    let what = format!("search in {}", plan.writes_to);
    Some(match is_filled && documents.is_forbidden {
        true => Line::failed(what, problem, GRANT),
        false => Line::unknown(what, problem, "look again; `run` counts documents where it may have to fill an index"),
    })
}

/// Reads that only some configurations need, and that no harmless call shows.
fn of_reads(config: &Config) -> Option<Line> {
    let compares = config.sources.iter().any(|source| source.on_gap == OnGap::Resnapshot);
    let awaits = config.http.await_per_second.is_some();
    let what = match (compares, awaits) {
        (true, _) => "comparing after a gap",
        (false, true) => "POST /await",
        (false, false) => return None,
    };
    let asks = !matches!(config.opensearch.auth, Auth::None);
    asks.then(|| Line::unknown(what, "whether these credentials may read and refresh indices was not tested", GRANT))
}

fn documents(plan: &Plan) -> String {
    let known = plan.documents.as_ref().filter(|documents| documents.problem.is_none() || documents.count > 0);
    known.map_or_else(|| "?".to_owned(), |documents| documents.count.to_string())
}

/// A policy that rolls an index over or deletes it works against an index that equals a table.
async fn of_policy(client: &Client, index: &str, plan: &Plan) -> Option<Line> {
    let what = format!("index {index}");
    let rolled = plan.settings.keys().find(|name| name.ends_with("rollover_alias") || name.contains("lifecycle"));
    let hint = "remove the policy: a rollover creates an index that nobody writes to, and a deleted index is a gap";
    if let Some(setting) = rolled {
        return Some(Line::warned(what, format!("`{setting}` is set, so a policy rolls the index over"), hint));
    }
    match trial::managed_by(client, &plan.writes_to).await {
        Ok(None) => None,
        Ok(Some(policy)) => Some(Line::warned(what, format!("the policy {policy} manages the index"), hint)),
        Err(error) => {
            let command = format!("GET /_plugins/_ism/explain/{}", plan.writes_to);
            Some(Line::unknown(what, format!("whether a policy rolls it over is unknown: {error}"), command))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::line::State;
    use super::*;

    fn line(opensearch: &str, flavour: &Flavour) -> Option<Line> {
        let text = format!(
            "source = {{ table = 'orders' }}\nopensearch = {{ {opensearch} }}\nroute = [{{ index = 'orders' }}]"
        );
        of_encryption(&Config::parse(&text, Path::new(""), &|_| None).unwrap().config, flavour)
    }

    #[test]
    fn whoever_knows_the_encryption_is_named() {
        let url = "https://search-my-shop-abc123.eu-west-1.es.amazonaws.com";
        let signed = format!("url = '{url}', auth = {{ kind = 'sigv4' }}");
        let asked = line(&signed, &Flavour::OpenSearch("2.19.1".into())).unwrap();
        let command = asked.hint.unwrap();
        assert_eq!(asked.state, State::Unknown);
        assert!(command.contains("--domain-name my-shop --region eu-west-1 "), "{command}");
        assert_eq!(line("url = 'http://127.0.0.1:9200'", &Flavour::OpenSearch("2.19.1".into())), None);
        assert_eq!(line(&signed, &Flavour::Serverless).unwrap().state, State::Passed);
    }
}
