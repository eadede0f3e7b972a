//! `index apply` without a table, and `run` that is stopped before it followed anything.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::services::Service;
use crate::{end, file, streamdex};

const NO_TABLE: &str =
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no table"}"#;
const WRONG_KEYS: &str = r#"{"Table":{"TableName":"sessions","TableArn":"arn:aws:dynamodb:eu-west-1:000000000000:table/sessions","TableStatus":"ACTIVE",
    "KeySchema":[{"AttributeName":"expired_at","KeyType":"HASH"}],"LatestStreamArn":"arn:aws:dynamodb:eu-west-1:000000000000:table/sessions/stream/2026-01-01T00:00:00.000",
    "StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}}"#;
const CLUSTER: &str = r#"{"name":"n","cluster_name":"c","version":{"distribution":"opensearch","number":"3.8.0"}}"#;

fn configuration(source: &str, opensearch: &str) -> String {
    format!(
        "[source]\ntable = 'sessions'\n{source}\n[opensearch]\nurl = '{opensearch}'\n[[route]]\nindex = 'sessions'\nttl = {{ attribute = 't', on_expiry = 'archive', archive_index = 'old' }}\n"
    )
}

#[test]
fn index_apply_changes_nothing_for_a_table_that_it_cannot_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, keys) = (Service::answering(400, NO_TABLE), Service::answering(200, WRONG_KEYS));
    let nobody = "http://127.0.0.1:1";
    let endpoint = |address: &str| format!("endpoint_url = '{address}'");
    for (source, status, part) in [
        (endpoint(&missing.address), 2, "there is no table sessions"),
        (endpoint(&keys.address), 2, "say when they expired"),
        (endpoint(nobody), 3, "DescribeTable"),
        ("region = 'eu-west-1'".to_owned(), 3, "no AWS credentials"),
    ] {
        let opensearch = Service::answering(200, CLUSTER);
        file(folder.path(), "streamdex.toml", &configuration(&source, &opensearch.address));
        let mut apply = streamdex(&["index", "apply", "-c", "streamdex.toml"]);
        apply.current_dir(folder.path()).env("HOME", folder.path());
        if status == 3 && source.starts_with("region") {
            apply.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        }
        let ended = end(&mut apply);
        assert_eq!((ended.status, ended.stdout.as_str()), (status, ""), "{part}: {}", ended.stderr);
        assert!(ended.stderr.contains(part) && ended.stderr.contains("hint: "), "{}", ended.stderr);
        assert_eq!(opensearch.asked(), Vec::<String>::new(), "{part}");
    }
}

#[test]
fn index_plan_refuses_what_run_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let opensearch = Service::answering(200, CLUSTER);
    for (answer, status, part) in
        [(NO_TABLE, 400, "there is no table sessions"), (WRONG_KEYS, 200, "say when they expired")]
    {
        let table = Service::answering(status, answer);
        let source = format!("endpoint_url = '{}'", table.address);
        file(folder.path(), "streamdex.toml", &configuration(&source, &opensearch.address));
        let ended = end(streamdex(&["index", "plan", "-c", "streamdex.toml"]).current_dir(folder.path()));
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn a_run_that_is_stopped_gives_the_json_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = "endpoint_url = 'http://127.0.0.1:1'";
    file(folder.path(), "streamdex.toml", &configuration(source, "http://127.0.0.1:1"));
    let mut run = streamdex(&["run", "--json", "-c", "streamdex.toml"]);
    let mut child = run.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("waiting: ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended by itself");
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&summary["records"], &summary["undecided"]), (&Value::from(0), &Value::from(0)), "{stdout}");
}
