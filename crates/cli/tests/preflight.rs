//! What is missing on this machine is said before any call, with status 2 and the key to set.

use std::time::{Duration, Instant};

use crate::{end, file, streamdex};

const ROUTE: &str = "[[route]]\nindex = 'sessions'\n";
const OPENSEARCH: &str = "[opensearch]\nurl = 'http://127.0.0.1:1'\n";

#[track_caller]
fn refused(text: &str, commands: &[&[&str]], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "streamdex.toml", text);
    file(folder.path(), "records", "");
    for command in commands {
        let started = Instant::now();
        let mut line = streamdex(command);
        line.args(["-c", "streamdex.toml"]).current_dir(folder.path()).env("HOME", folder.path());
        let ended = end(&mut line);
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{command:?}: {}", ended.stderr);
        for part in parts {
            assert!(ended.stderr.contains(part), "{command:?}: {part}: {}", ended.stderr);
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{command:?}");
    }
}

#[test]
fn a_missing_region_is_status_2() {
    let text = format!("[source]\ntable = 'sessions'\n{OPENSEARCH}{ROUTE}");
    let commands: [&[&str]; 5] =
        [&["run"], &["run", "--until-end"], &["index", "plan"], &["index", "apply"], &["replay", "records"]];
    refused(&text, &commands, &["no AWS region is configured", "set region under [source], or AWS_REGION"]);
    refused(&text, &[&["dlq", "list"], &["state", "create"]], &["the state table", "set region under [state]"]);
    let signed = "[source]\ntable = 'sessions'\nendpoint_url = 'http://127.0.0.1:1'\n[opensearch]\nurl = 'https://search.example'\nauth = { kind = 'sigv4' }\n";
    refused(
        &format!("{signed}{ROUTE}"),
        &[&["index", "plan"], &["replay", "--images", "records"]],
        &["under opensearch.auth"],
    );
}

#[test]
fn a_region_that_aws_does_not_have_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "streamdex.toml", &format!("[source]\ntable = 'sessions'\n{OPENSEARCH}{ROUTE}"));
    let ended =
        end(streamdex(&["run", "-c", "streamdex.toml"]).current_dir(folder.path()).env("AWS_REGION", "eu-west1"));
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("\"eu-west1\" is not an AWS region"), "{}", ended.stderr);
}

#[test]
fn an_unknown_profile_is_status_2() {
    let text = format!("[source]\ntable = 'sessions'\nregion = 'eu-west-1'\nprofile = 'prod'\n{OPENSEARCH}{ROUTE}");
    let commands: [&[&str]; 4] = [&["run"], &["index", "apply"], &["dlq", "list"], &["state", "create"]];
    refused(&text, &commands, &["there is no profile \"prod\"", "correct profile"]);
}

#[test]
fn a_password_that_is_not_there_is_status_2() {
    let text = |place: &str| {
        format!(
            "[source]\ntable = 'sessions'\nendpoint_url = 'http://127.0.0.1:1'\n[opensearch]\nurl = 'https://127.0.0.1:1'\nauth = {{ kind = 'basic', username = 'u', {place} }}\n{ROUTE}"
        )
    };
    let commands: [&[&str]; 4] =
        [&["run"], &["index", "plan"], &["index", "apply"], &["replay", "--images", "records"]];
    refused(&text("password_env = 'SEARCH_PASSWORD'"), &commands, &["SEARCH_PASSWORD", "password_env"]);
    refused(&text("password_file = 'none'"), &commands, &["none", "password_file"]);
}

#[test]
fn missing_credentials_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    file(
        folder.path(),
        "streamdex.toml",
        &format!("[source]\ntable = 'sessions'\nregion = 'eu-west-1'\n{OPENSEARCH}{ROUTE}"),
    );
    for command in [&["dlq", "list"][..], &["index", "apply"], &["index", "plan"], &["state", "create"], &["run"]] {
        let mut line = streamdex(command);
        line.args(["-c", "streamdex.toml"]).current_dir(folder.path()).env("HOME", folder.path());
        line.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let ended = end(&mut line);
        assert_eq!(ended.status, 3, "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("no AWS credentials: none were found"), "{command:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("Attempted") && !ended.stderr.contains("IMDS"), "{command:?}: {}", ended.stderr);
    }
}
