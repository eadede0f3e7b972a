//! Recognises the search engine, and its limits.

use std::fmt;

use serde_json::Value;
use streamdex_config::{Auth, OpenSearch, SigV4Service};

/// How the host names of collections end (Amazon OpenSearch Service Developer Guide, "OpenSearch Serverless endpoints").
const COLLECTIONS: &str = ".aoss.amazonaws.com";

/// The search engine behind the configured address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flavour {
    /// OpenSearch of this version, as `2.19.1`.
    OpenSearch(String),
    /// Elasticsearch of this version.
    Elasticsearch(String),
    /// Amazon OpenSearch Serverless, which does not answer `GET /`.
    Serverless,
    /// It did not say (no permission, or a proxy answers for it).
    Unknown,
}

/// What the search engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) flavour: Flavour,
    /// The UUID of the cluster, where it tells one: Serverless does not, nor a cluster that has not formed yet.
    pub(crate) cluster: Option<String>,
}

/// What a node says before it has joined a cluster.
const NO_CLUSTER: &str = "_na_";

// === impl Engine ===

impl Engine {
    /// Reads the answer to `GET /`; `None` where it is not a search engine's.
    pub(crate) fn read(status: u16, body: &Value) -> Option<Engine> {
        let flavour = Flavour::read(status, body)?;
        let cluster = body.get("cluster_uuid").and_then(Value::as_str);
        Some(Engine { flavour, cluster: cluster.filter(|uuid| *uuid != NO_CLUSTER).map(str::to_owned) })
    }
}

// === impl Flavour ===

impl Flavour {
    /// Reads the answer to `GET /`; `None` where it is not a search engine's. Serverless does not answer it, and is
    /// known by [`is_serverless`] alone: a 404 is what any web server says.
    pub fn read(status: u16, body: &Value) -> Option<Flavour> {
        // The credentials may not know the version, and may do all else.
        if status == 403 {
            return Some(Flavour::Unknown);
        }
        let number = body.pointer("/version/number").and_then(Value::as_str).filter(|_| status == 200)?;
        let distribution = body.pointer("/version/distribution").and_then(Value::as_str);
        // In its compatibility mode OpenSearch says 7.10.2, but keeps its distribution.
        Some(match distribution {
            Some("opensearch") => Flavour::OpenSearch(number.to_owned()),
            _ => Flavour::Elasticsearch(number.to_owned()),
        })
    }

    /// Whether searches of a point in time can be sorted by `_shard_doc`: OpenSearch from 3.3 on.
    pub fn sorts_by_shard_doc(&self) -> bool {
        let Flavour::OpenSearch(version) = self else { return false };
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next(), parts.next()) >= (Some(3), Some(3))
    }

    /// What this engine lacks, one sentence each, for an operator.
    pub fn lacks(&self) -> Vec<String> {
        match self {
            Flavour::OpenSearch(version) if major(version) == Some(1) => older_line(),
            Flavour::OpenSearch(version) if matches!(major(version), Some(2 | 3)) => Vec::new(),
            Flavour::Elasticsearch(version) if version.starts_with("7.10.") => older_line(),
            Flavour::Elasticsearch(_) => vec![
                "this version of Elasticsearch is not tested; tested versions are Elasticsearch 7.10 and OpenSearch 1.3, 2.x and 3.x".to_owned(),
            ],
            Flavour::OpenSearch(_) => {
                vec!["this version of OpenSearch is not tested; tested versions are OpenSearch 1.3, 2.x and 3.x".to_owned()]
            }
            Flavour::Serverless => vec![
                "external versions are not documented for Serverless: `streamdex index apply` tests them with a scratch document".to_owned(),
                "`index.gc_deletes` is not set on Serverless, so the service decides how long a delete is remembered".to_owned(),
                "collections for time series and vectors do not accept custom document ids, so they cannot hold a table".to_owned(),
            ],
            Flavour::Unknown => {
                vec!["the engine did not report its version, so its limits are unknown".to_owned()]
            }
        }
    }
}

/// Whether the configuration names a collection of OpenSearch Serverless: by the service that requests are signed for, or by
/// the host name that AWS gives collections.
pub fn is_serverless(settings: &OpenSearch) -> bool {
    let signed = matches!(settings.auth, Auth::SigV4 { service: SigV4Service::Aoss, .. });
    signed || settings.url.host_str().is_some_and(|host| host.to_ascii_lowercase().ends_with(COLLECTIONS))
}

fn older_line() -> Vec<String> {
    vec![
        "a map in a field of numbers or text, and text in a field of booleans, become dead letters; OpenSearch 2 and later accept them"
            .to_owned(),
        "there is no point in time".to_owned(),
    ]
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next().and_then(|text| text.parse().ok())
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flavour::OpenSearch(version) => write!(f, "OpenSearch {version}"),
            Flavour::Elasticsearch(version) => write!(f, "Elasticsearch {version}"),
            Flavour::Serverless => f.write_str("OpenSearch Serverless"),
            Flavour::Unknown => f.write_str("an engine of unknown version"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_known_by_its_uuid_once_it_has_formed() {
        let of =
            |uuid: &str| json!({"cluster_uuid": uuid, "version": {"number": "3.8.0", "distribution": "opensearch"}});
        let cluster = |body: &Value| Engine::read(200, body).and_then(|engine| engine.cluster);
        assert_eq!(cluster(&of("u1")).as_deref(), Some("u1"));
        assert_eq!(cluster(&of("_na_")), None);
        assert_eq!(cluster(&json!({"version": {"number": "7.10.2"}})), None);
        assert_eq!(Engine::read(200, &json!({"cluster_uuid": "u1"})), None, "any server can say that");
    }
    use serde_json::json;

    #[test]
    fn the_root_answer_names_the_engine() {
        let opensearch = json!({"version": {"distribution": "opensearch", "number": "2.19.1"}});
        let elasticsearch = json!({"version": {"number": "7.10.2"}});
        let read = |status, body| Flavour::read(status, body).map(|flavour| flavour.to_string());
        assert_eq!(read(200, &opensearch).as_deref(), Some("OpenSearch 2.19.1"));
        assert_eq!(read(200, &elasticsearch).as_deref(), Some("Elasticsearch 7.10.2"));
        assert_eq!(Flavour::read(403, &json!({"message": "no"})), Some(Flavour::Unknown));
        assert_eq!(Flavour::read(401, &Value::Null), None, "nobody is signed in");
    }

    #[test]
    fn a_web_page_and_a_missing_page_are_no_engine() {
        for (status, body) in [
            (200, Value::Null),
            (200, json!({})),
            (200, json!({"version": "3.8.0"})),
            (404, Value::Null),
            (404, json!({"error": "not found"})),
            (302, Value::Null),
        ] {
            assert_eq!(Flavour::read(status, &body), None, "{status} {body}");
        }
    }

    #[test]
    fn serverless_is_known_by_its_host_name_or_its_service() {
        let at = |url: &str, auth: Auth| {
            let mut config = crate::index::samples::config(Vec::new()).opensearch;
            config.url = url.parse().unwrap();
            config.auth = auth;
            is_serverless(&config)
        };
        let signed = |service| Auth::SigV4 { service, region: None, aws: Default::default() };
        assert!(at("https://abc123.eu-west-1.AOSS.amazonaws.com", Auth::None));
        assert!(at("https://search.example", signed(SigV4Service::Aoss)));
        assert!(!at("https://search.example", signed(SigV4Service::Es)));
        assert!(!at("https://aoss.amazonaws.com.example", Auth::None));
    }

    #[test]
    fn the_tested_newer_lines_lack_nothing() {
        let lacks = |flavour: Flavour| flavour.lacks().len();
        assert_eq!(lacks(Flavour::OpenSearch("3.8.0".into())), 0);
        assert_eq!(lacks(Flavour::OpenSearch("2.19.1".into())), 0);
        assert_eq!(lacks(Flavour::OpenSearch("1.3.0".into())), 2);
        assert_eq!(lacks(Flavour::Elasticsearch("7.10.2".into())), 2);
        assert_eq!(lacks(Flavour::Elasticsearch("8.1.0".into())), 1);
    }
}
