//! Every example in the repository is good for the loader and for the JSON Schema.

use std::path::PathBuf;

use streamdex_config::{Auth, Config, SigV4Service, json_schema};

use crate::repository;

/// What the templates of `deploy/` set in the environment.
const DEPLOYED: [(&str, &str); 3] = [
    ("STREAMDEX_TABLE", "sessions"),
    ("STREAMDEX_STREAMS_ENDPOINT_URL", "https://vpce-1.streams.dynamodb.eu-west-1.vpce.amazonaws.com"),
    ("STREAMDEX_OPENSEARCH_URL", "https://vpc-streamdex-abc.eu-west-1.es.amazonaws.com"),
];

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(repository().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    files.extend(
        ["cloudformation", "compose", "sam"]
            .map(|folder| repository().join("deploy").join(folder).join("streamdex.toml")),
    );
    files
}

fn load(path: &std::path::Path) -> streamdex_config::Loaded {
    let text = std::fs::read_to_string(path).unwrap();
    let env = |name: &str| DEPLOYED.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Config::parse(&text, path.parent().unwrap(), &env).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_loader_takes_every_example_without_a_warning() {
    for path in examples() {
        assert_eq!(load(&path).warnings, [], "{}", path.display());
    }
}

#[test]
fn the_schema_takes_every_example() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for path in examples() {
        // A schema cannot tell what a variable will hold, where only certain words may stand.
        let text = std::fs::read_to_string(&path).unwrap().replace("${STREAMDEX_OPENSEARCH_SERVICE:-es}", "es");
        let json = serde_json::to_value(toml::from_str::<toml::Value>(&text).unwrap()).unwrap();
        let errors: Vec<String> =
            schema.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn what_the_examples_leave_out_is_filled_in() {
    let minimal = load(&repository().join("examples/minimal.toml")).config;
    let Auth::SigV4 { service, region, .. } = &minimal.opensearch.auth else { panic!() };
    assert_eq!((*service, region.as_deref()), (SigV4Service::Es, Some("eu-west-1")));
    assert_eq!(minimal.sources[0].name, "sessions");
    assert_eq!((minimal.opensearch.max_batch_bytes, minimal.opensearch.max_batch_operations), (5 << 20, 2000));
    assert_eq!((minimal.state.table.as_str(), minimal.state.group.as_str()), ("streamdex-state", "default"));

    let local = load(&repository().join("examples/local.toml")).config;
    assert_eq!(local.state.endpoint_url, local.sources[0].endpoint_url);
    assert_eq!(local.sources[0].streams_endpoint_url, local.sources[0].endpoint_url);
    assert!(local.dead_letter.written_out);
}
