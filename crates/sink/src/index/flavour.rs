//! Which search engine answers, and what it lacks.

use std::fmt;

use serde_json::Value;

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

// === impl Flavour ===

impl Flavour {
    /// Reads the answer to `GET /`.
    pub fn read(status: u16, body: &Value) -> Flavour {
        if status == 404 {
            return Flavour::Serverless;
        }
        let Some(number) = body.pointer("/version/number").and_then(Value::as_str) else {
            return Flavour::Unknown;
        };
        let distribution = body.pointer("/version/distribution").and_then(Value::as_str);
        // In its compatibility mode OpenSearch says 7.10.2, but keeps its distribution.
        match distribution {
            Some("opensearch") => Flavour::OpenSearch(number.to_owned()),
            _ => Flavour::Elasticsearch(number.to_owned()),
        }
    }

    /// What this engine lacks, one sentence each, for an operator.
    pub fn lacks(&self) -> Vec<String> {
        match self {
            Flavour::OpenSearch(version) if major(version) == Some(1) => older_line(),
            Flavour::OpenSearch(version) if matches!(major(version), Some(2 | 3)) => Vec::new(),
            Flavour::Elasticsearch(version) if version.starts_with("7.10.") => older_line(),
            Flavour::Elasticsearch(_) => vec![
                "this version of Elasticsearch is not tested; tested are Elasticsearch 7.10 and OpenSearch 1.3, 2.x and 3.x".to_owned(),
            ],
            Flavour::OpenSearch(_) => {
                vec!["this version of OpenSearch is not tested; tested are OpenSearch 1.3, 2.x and 3.x".to_owned()]
            }
            Flavour::Serverless => vec![
                "external versions are not documented for Serverless: `streamdex index apply` tries them with a scratch document".to_owned(),
                "`index.gc_deletes` is not set on Serverless, so a delete is remembered for the service's own time".to_owned(),
                "collections for time series and vectors take no document ids of one's own, so they cannot hold a table".to_owned(),
            ],
            Flavour::Unknown => {
                vec!["the engine did not give its version, so nothing is known about what it lacks".to_owned()]
            }
        }
    }
}

fn older_line() -> Vec<String> {
    vec![
        "a map in a field of numbers or text, and text in a field of booleans, are dead letters; OpenSearch 2 and later take them"
            .to_owned(),
        "attributes named like metadata fields (`_id`, `_source`, …) are refused".to_owned(),
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
    use serde_json::json;

    #[test]
    fn the_root_answer_names_the_engine() {
        let opensearch = json!({"version": {"distribution": "opensearch", "number": "2.19.1"}});
        let elasticsearch = json!({"version": {"number": "7.10.2"}});
        assert_eq!(Flavour::read(200, &opensearch).to_string(), "OpenSearch 2.19.1");
        assert_eq!(Flavour::read(200, &elasticsearch).to_string(), "Elasticsearch 7.10.2");
        assert_eq!(Flavour::read(404, &Value::Null), Flavour::Serverless);
        assert_eq!(Flavour::read(403, &json!({"message": "no"})), Flavour::Unknown);
    }

    #[test]
    fn the_tested_newer_lines_lack_nothing() {
        let lacks = |flavour: Flavour| flavour.lacks().len();
        assert_eq!(lacks(Flavour::OpenSearch("3.8.0".into())), 0);
        assert_eq!(lacks(Flavour::OpenSearch("2.19.1".into())), 0);
        assert_eq!(lacks(Flavour::OpenSearch("1.3.0".into())), 3);
        assert_eq!(lacks(Flavour::Elasticsearch("7.10.2".into())), 3);
        assert_eq!(lacks(Flavour::Elasticsearch("8.1.0".into())), 1);
    }
}
