//! What else says what is granted: `docs/registers/permissions.md` and the templates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{BASIC, ROLES, SECRET, SERVERLESS, SESSIONS};
use crate::{end, file, streamdex};

const PURPOSES: [&str; 9] = ["run", "lambda", "replay", "verify", "repair", "rebuild", "dlq", "state-create", "index"];
/// Everything that adds to a policy.
const ALL_OPTIONS: [&str; 28] = [
    "--view",
    "KEYS_ONLY",
    "--source-key",
    "k",
    "--state-key",
    "k",
    "--secret-key",
    "k",
    "--on-failure-bucket",
    "b",
    "--bucket-key",
    "k",
    "--function-key",
    "k",
    "--log-group",
    "g",
    "--function",
    "f",
    "--subnet",
    "s",
    "--security-group",
    "s",
    "--account",
    "1",
    "--region",
    "eu-west-1",
    "--json",
    "--redrive",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every action and permission that some configuration is granted.
fn all_granted() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut granted = BTreeSet::new();
    for configuration in [SESSIONS, ROLES, SERVERLESS, BASIC, SECRET] {
        file(folder.path(), "streamdex.toml", configuration);
        for purpose in PURPOSES {
            let arguments = ["iam-policy", "-c", "streamdex.toml", "--for", purpose];
            let ended = end(streamdex(&arguments).args(ALL_OPTIONS).current_dir(folder.path()));
            if ended.status == 2 && ended.stderr.contains("several [[source]]") {
                continue;
            }
            assert_eq!(ended.status, 0, "{purpose}: {}", ended.stderr);
            collect(&serde_json::from_str(&ended.stdout).unwrap(), &mut granted);
        }
    }
    granted
}

fn collect(value: &Value, granted: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "Action" | "cluster_permissions" | "allowed_actions" | "Permission" => {
                        granted.extend(member.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()));
                    }
                    _ => collect(member, granted),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|element| collect(element, granted)),
        _ => {}
    }
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_action_is_explained_or_tested() {
    let document = read("docs/registers/permissions.md");
    let table = document.split_once("| action | for | noticed by |").expect("the table of actions").1;
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut listed = BTreeSet::new();
    let mut tests = String::new();
    let folders = [
        "tests/tests/policy",
        "tests/tests/secured",
        "crates/cli/tests",
        "crates/cli/tests/iam_policy",
        "crates/dynamodb/tests",
    ];
    for folder in folders {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                tests.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [action, _, noticed] = cells.as_slice() else { panic!("{row}") };
        assert!(listed.insert(action.trim_matches('`').to_owned()), "twice: {row}");
        let named: Vec<&str> = quoted(noticed).collect();
        assert!(noticed.starts_with("not testable here: ") || !named.is_empty(), "{row}");
        for name in named {
            assert!(tests.contains(&format!("fn {name}(")), "there is no test {name}: {row}");
        }
    }
    let granted = all_granted();
    assert_eq!(listed.difference(&granted).collect::<Vec<_>>(), Vec::<&String>::new(), "listed and never granted");
    assert_eq!(granted.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "granted and not listed");
}

/// `deploy/check` holds the roles of the templates to the same files.
#[test]
fn the_deployed_role_is_what_is_printed() {
    for (file, template) in [
        ("deploy/check/function-policy.json", "deploy/sam/template.yaml"),
        ("deploy/check/function-password-policy.json", "deploy/sam/template.yaml"),
        ("deploy/check/service-policy.json", "deploy/cloudformation/service.yaml"),
        ("deploy/check/service-password-policy.json", "deploy/cloudformation/service.yaml"),
        ("deploy/check/redrive-policy.json", "deploy/cloudformation/redrive.yaml"),
        ("deploy/check/redrive-password-policy.json", "deploy/cloudformation/redrive.yaml"),
        ("deploy/check/redrive-collection-policy.json", "deploy/cloudformation/redrive.yaml"),
    ] {
        let deployed: Value = serde_json::from_str(&read(file)).unwrap();
        let words = |of: &Value| -> Vec<String> { serde_json::from_value(of["arguments"].clone()).unwrap() };
        for one in deployed["policies"].as_array().unwrap() {
            let mut command = streamdex(&["iam-policy", "-c"]);
            command.arg(root().join(deployed["configuration"].as_str().unwrap()));
            command.args(words(one)).args(words(&deployed));
            for (name, value) in deployed["environment"].as_object().unwrap() {
                command.env(name, value.as_str().unwrap());
            }
            let ended = end(&mut command);
            assert_eq!(ended.status, 0, "{}", ended.stderr);
            let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert_eq!(printed, one["policy"], "change {} in {template}, or what iam-policy prints", one["role"]);
        }
    }
}

/// The collection's policy is JSON inside YAML; its permissions are compared, its indices are all of the collection.
#[test]
fn the_deployed_data_access_is_what_is_printed() {
    let permissions = |text: &str| -> BTreeSet<String> {
        let words = text.split('"').filter(|word| word.starts_with("aoss:"));
        words.map(str::to_owned).collect()
    };
    for (purpose, file, from, to) in [
        ("lambda", "deploy/cloudformation/search-serverless.yaml", "FunctionAccess:", "AdminAccess:"),
        ("replay", "deploy/cloudformation/redrive.yaml", "ReplayAccess:", "Cluster:"),
    ] {
        let template = read(file);
        let deployed = template.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let mut command =
            streamdex(&["iam-policy", "--for", purpose, "--opensearch", "--collection", "streamdex", "-c"]);
        command.arg(root().join("deploy/sam/streamdex.toml"));
        command.env("STREAMDEX_TABLE", "sessions").env("STREAMDEX_OPENSEARCH_SERVICE", "aoss");
        let ended = end(command.env("STREAMDEX_OPENSEARCH_URL", "https://abc.eu-west-1.aoss.amazonaws.com"));
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert_eq!(permissions(deployed), permissions(&ended.stdout), "{file}");
    }
}
