//! `streamdex iam-policy`: what it prints for a handful of configurations.

mod documents;

use std::path::Path;

use serde_json::Value;

use crate::{Ended, end, file, streamdex};

const SESSIONS: &str = r#"
[source]
table = "sessions"
region = "eu-west-1"
[opensearch]
url = "https://search-sessions-abcdefghijklmnopqrstuvwxyz.eu-west-1.es.amazonaws.com"
auth = { kind = "sigv4" }
[[route]]
index = "sessions"
ttl = { attribute = "expires_at", on_expiry = "archive", archive_index = "sessions-expired" }
"#;

/// Each part under its own role, the source by its stream, indices of every kind.
const ROLES: &str = r#"
[aws]
profile = "deploy"
[[source]]
name = "orders"
stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/orders/stream/2026-11-22T15:01:21.123"
role_arn = "arn:aws:iam::111111111111:role/reader"
[[source]]
name = "parts"
table = "parts"
region = "us-east-1"
role_arn = "arn:aws:iam::111111111111:role/reader"
[opensearch]
url = "https://search.example"
auth = { kind = "sigv4", region = "us-east-1", role_arn = "arn:aws:iam::222222222222:role/writer" }
[state]
region = "us-east-1"
[[route]]
source = "orders"
index = "orders-{region}"
id = ["id"]
[[route]]
source = "parts"
index = "parts"
[index.parts]
manage = "check"
"#;

const SERVERLESS: &str = r#"
[source]
table = "sessions"
[opensearch]
url = "https://abc123.eu-central-1.aoss.amazonaws.com"
auth = { kind = "sigv4" }
[dead_letter]
kind = "file"
path = "letters.ndjson"
[[route]]
index = "sessions"
[index.sessions]
generation = 7
"#;

const BASIC: &str = r#"
[source]
table = "sessions"
region = "cn-north-1"
[opensearch]
url = "https://search.example"
auth = { kind = "basic", username = "streamdex", password_env = "PASSWORD" }
[[route]]
index = "sessions"
[index.sessions]
manage = "never"
"#;

const SECRET: &str = r#"
[source]
table = "sessions"
region = "eu-west-1"
[opensearch]
url = "https://search.example"
auth = { kind = "basic", username = "streamdex", password_secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:search" }
[[route]]
index = "sessions"
"#;

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    end(streamdex(&["iam-policy", "-c", "streamdex.toml"]).args(arguments).current_dir(folder))
}

/// stdout of each command line, and what it says on stderr.
fn printed(configuration: &str, command_lines: &[&[&str]]) -> String {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "streamdex.toml", configuration);
    let mut all = String::new();
    for arguments in command_lines {
        let ended = run(folder.path(), arguments);
        assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
        serde_json::from_str::<Value>(&ended.stdout).unwrap();
        // Without its time, which is the first word.
        let logged = ended.stderr.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest.trim_start()));
        let logged: Vec<&str> = logged.collect();
        all.push_str(&format!("$ iam-policy {}\n{}{}\n\n", arguments.join(" "), ended.stdout, logged.join("\n")));
    }
    all
}

#[test]
fn one_table_into_one_domain() {
    insta::assert_snapshot!(
        "sessions",
        printed(
            SESSIONS,
            &[
                &["--for", "run"],
                &[
                    "--for",
                    "run",
                    "--view",
                    "KEYS_ONLY",
                    "--account",
                    "123456789012",
                    "--source-key",
                    "arn:aws:kms:eu-west-1:123456789012:key/1",
                    "--state-key",
                    "arn:aws:kms:eu-west-1:123456789012:key/2"
                ],
                &["--for", "run", "--opensearch", "--principal", "arn:aws:iam::123456789012:role/poller"],
                &["--for", "replay", "--account", "123456789012"],
                &["--for", "verify", "--account", "123456789012"],
                &["--for", "repair", "--account", "123456789012"],
                &["--for", "repair", "--opensearch", "--account", "123456789012"],
                &["--for", "rebuild", "--account", "123456789012"],
                &["--for", "rebuild", "--opensearch", "--account", "123456789012"],
                &["--for", "dlq", "--account", "123456789012"],
                &["--for", "state-create", "--account", "123456789012"],
                &["--for", "index", "--account", "123456789012"],
                &["--for", "index", "--opensearch", "--account", "123456789012"],
            ],
        )
    );
}

#[test]
fn a_function_with_everything() {
    insta::assert_snapshot!(
        "lambda",
        printed(
            SESSIONS,
            &[
                &["--for", "lambda"],
                &[
                    "--for",
                    "lambda",
                    "--view",
                    "OLD_IMAGE",
                    "--subnet",
                    "subnet-1",
                    "--subnet",
                    "subnet-2",
                    "--security-group",
                    "sg-1",
                    "--function",
                    "streamdex",
                    "--function-key",
                    "arn:aws:kms:eu-west-1:123456789012:key/1",
                    "--on-failure-bucket",
                    "given-up",
                    "--log-group",
                    "/aws/lambda/streamdex",
                    "--source-key",
                    "arn:aws:kms:eu-west-1:123456789012:key/1",
                    "--state-key",
                    "arn:aws:kms:eu-west-1:123456789012:key/1",
                    "--bucket-key",
                    "arn:aws:kms:eu-west-1:123456789012:key/1",
                    "--account",
                    "123456789012",
                    "--region",
                    "eu-west-1"
                ],
            ],
        )
    );
}

#[test]
fn every_role_has_a_policy_of_its_own() {
    insta::assert_snapshot!(
        "roles",
        printed(
            ROLES,
            &[
                &["--for", "replay", "--account", "333333333333", "--json", "--domain", "search"],
                &["--for", "lambda", "--region", "us-east-1"],
                &["--for", "replay", "--role", "arn:aws:iam::222222222222:role/writer"],
                &["--for", "replay", "--profile", "deploy"],
                &["--for", "replay", "--opensearch"],
            ],
        )
    );
}

#[test]
fn a_serverless_collection() {
    insta::assert_snapshot!(
        "serverless",
        printed(
            SERVERLESS,
            &[
                &["--for", "lambda", "--region", "eu-central-1", "--account", "123456789012", "--redrive"],
                &["--for", "lambda", "--opensearch", "--collection", "sessions"],
            ],
        )
    );
}

#[test]
fn a_user_and_an_index_of_ones_own() {
    insta::assert_snapshot!("basic", printed(BASIC, &[&["--for", "run"], &["--for", "run", "--opensearch"]]));
}

#[test]
fn a_secret_and_a_bucket() {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let bucket = ["--on-failure-bucket", "given-up", "--bucket-key", key];
    let secret = ["--for", "replay", "--account", "123456789012", "--secret-key", key];
    insta::assert_snapshot!("secret", printed(SECRET, &[&[&secret[..], &bucket[..]].concat()]));
}

#[test]
fn what_needs_no_policy_is_said() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "streamdex.toml", SERVERLESS);
    let other = run(folder.path(), &["--for", "run", "--role", "arn:aws:iam::1:role/other"]);
    assert_eq!((other.status, other.stdout.as_str()), (2, ""));
    assert!(other.stderr.contains("needs no policy here"), "{}", other.stderr);
    let silent = run(folder.path(), &["--for", "state-create", "--opensearch"]);
    assert_eq!((silent.status, silent.stdout.as_str()), (2, ""));
}

#[test]
fn run_is_granted_every_source() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "streamdex.toml", ROLES);
    let granted = run(folder.path(), &["--for", "run"]);
    assert_eq!(granted.status, 0, "{}", granted.stderr);
    for table in ["table/orders", "table/parts"] {
        assert!(granted.stdout.contains(table), "{table}: {}", granted.stdout);
    }
}

#[test]
fn options_that_change_nothing_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1";
    let role = "arn:aws:iam::123456789012:role/r";
    let named = |configuration: &str, arguments: &[&str]| -> Vec<String> {
        file(folder.path(), "streamdex.toml", configuration);
        let ended = run(folder.path(), arguments);
        assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
        let lines =
            ended.stderr.lines().filter_map(|line| line.split_once(" has no effect on ")?.0.split(' ').next_back());
        lines.map(str::to_owned).collect()
    };
    let rows: [(&str, &[&str], &[&str]); 16] = [
        (SESSIONS, &["--for", "run", "--redrive", "--log-group", "g"], &["--redrive", "--log-group"]),
        (
            SESSIONS,
            &["--for", "run", "--on-failure-bucket", "b", "--bucket-key", key],
            &["--on-failure-bucket", "--bucket-key"],
        ),
        (SESSIONS, &["--for", "index", "--state-key", key], &["--state-key"]),
        (SESSIONS, &["--for", "run", "--secret-key", key], &["--secret-key"]),
        (SESSIONS, &["--for", "status", "--source-key", key, "--view", "KEYS_ONLY"], &["--source-key", "--view"]),
        (SESSIONS, &["--for", "dlq", "--source-key", key, "--view", "KEYS_ONLY"], &["--view"]),
        (SESSIONS, &["--for", "lambda", "--function", "f"], &["--function"]),
        (BASIC, &["--for", "run", "--domain", "d"], &["--domain"]),
        (SESSIONS, &["--for", "run", "--collection", "c"], &["--collection"]),
        (SESSIONS, &["--for", "run", "--principal", role], &["--principal"]),
        (SESSIONS, &["--for", "index", "--opensearch", "--view", "NEW_IMAGE", "--role", role], &["--view", "--role"]),
        // The default written out, two of which each would do, and what fills in what the configuration leaves open.
        (SESSIONS, &["--for", "lambda", "--view", "NEW_AND_OLD_IMAGES"], &[]),
        // Whoever may fill an index reads items anyway.
        (SESSIONS, &["--for", "run", "--view", "KEYS_ONLY"], &["--view"]),
        (SESSIONS, &["--for", "lambda", "--view", "KEYS_ONLY", "--redrive"], &[]),
        (SESSIONS, &["--for", "run", "--account", "123456789012", "--region", "us-east-1"], &[]),
        (SERVERLESS, &["--for", "run", "--collection", "c"], &["--collection"]),
    ];
    for (configuration, arguments, expected) in rows {
        assert_eq!(named(configuration, arguments), expected, "{arguments:?}");
    }
}
