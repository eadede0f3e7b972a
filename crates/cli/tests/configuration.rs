//! `streamdex config`, and what every command does about a bad configuration.

use serde_json::Value;

use crate::{end, file, streamdex};

const GOOD: &str =
    "[source]\ntable = 'sessions'\n[opensearch]\nurl = 'http://127.0.0.1:9200'\n[[route]]\nindex = 'sessions'\n";

const FIVE_PROBLEMS: &str = r#"
[source]
tabel = "sessions"
table = "sessions"
start = "now"

[opensearch]
url = "https://search.example"
max_batch_bytes = "20MiB"

[[route]]
index = "sessions"
when = { attribute = "kind", equals = "${KIND}" }
ttl = { attribute = "expires_at", on_expiry = "archive" }
"#;

#[test]
fn five_problems_are_five_problems_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "five.toml", FIVE_PROBLEMS);
    let commands =
        [&["config", "check"][..], &["config", "show"], &["index", "plan"], &["state", "create"], &["dlq", "list"]];
    for command in commands {
        let ended = end(streamdex(command).args(["--config", "five.toml"]).current_dir(folder.path()));
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{command:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(ended.stderr, @r#"
            error: five.toml: 5 problems in the configuration
              line 3, source.tabel: unknown key "tabel"
                hint: did you mean "table"?
              line 5, source.start: unknown value "now"
                hint: known here: "trim_horizon", "latest"
              line 9, opensearch.max_batch_bytes: 20971520 bytes is out of range
                hint: give 64KiB to 9.5MiB
              line 13, route[0].when.equals: the environment variable KIND is not set
                hint: set KIND, or write ${KIND:-default}
              line 14, route[0].ttl.archive_index: this key is missing
                hint: add archive_index = …
              hint: correct these places; `streamdex config schema` describes every key
            "#);
        }
    }
}

#[test]
fn problems_as_json() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "five.toml", FIVE_PROBLEMS);
    let ended = end(streamdex(&["config", "check", "--json", "-c", "five.toml"]).current_dir(folder.path()));
    assert_eq!((ended.status, ended.stderr.as_str()), (2, ""));
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(result["good"], false);
    let places: Vec<_> =
        result["problems"].as_array().unwrap().iter().map(|problem| problem["path"].as_str().unwrap()).collect();
    let expected = [
        "source.tabel",
        "source.start",
        "opensearch.max_batch_bytes",
        "route[0].when.equals",
        "route[0].ttl.archive_index",
    ];
    assert_eq!(places, expected);
    assert_eq!(result["problems"][0]["line"], 3);

    let as_log =
        end(streamdex(&["config", "show", "--log-format", "json", "-c", "five.toml"]).current_dir(folder.path()));
    let line: Value = serde_json::from_str(&as_log.stderr).unwrap();
    assert_eq!((line["level"].as_str(), &line["exit"]), (Some("ERROR"), &Value::from(2)));
}

#[test]
fn check_prints_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{GOOD}[[route]]\nindex = 'sessions'\nwhen = {{ attribute = 'kind', exists = true }}\n");
    file(folder.path(), "hidden.toml", &text);
    let ended = end(streamdex(&["config", "check"]).env("STREAMDEX_CONFIG", "hidden.toml").current_dir(folder.path()));
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ended.stdout, @"
    hidden.toml: good, 1 warning
      warning: line 7, route[1]: this route never matches: route[0] takes all its items first
        hint: move it before the other route, or remove it
    ");
    let json = end(streamdex(&["config", "check", "--json", "-c", "hidden.toml"]).current_dir(folder.path()));
    let result: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&result["good"], result["warnings"].as_array().unwrap().len()), (&Value::from(true), 1));
    // Other commands say it on stderr.
    let shown = end(streamdex(&["config", "show", "-c", "hidden.toml"]).current_dir(folder.path()));
    assert!(shown.stderr.contains("WARN") && shown.stderr.contains("route[1]"), "{}", shown.stderr);
    assert!(shown.stdout.starts_with("[source]\n"), "{}", shown.stdout);
}

#[test]
fn the_configuration_may_be_in_the_environment() {
    let text = end(streamdex(&["config", "check"]).env("STREAMDEX_CONFIG_TOML", GOOD));
    assert_eq!((text.status, text.stdout.as_str()), (0, "good\n"), "{}", text.stderr);
    let none = end(&mut streamdex(&["config", "check"]));
    assert_eq!(none.status, 2);
    assert!(none.stderr.contains("--config FILE"), "{}", none.stderr);
    let both =
        end(streamdex(&["config", "check"]).env("STREAMDEX_CONFIG_TOML", GOOD).env("STREAMDEX_CONFIG", "x.toml"));
    assert_eq!(both.status, 2);
    let missing = end(&mut streamdex(&["config", "check", "-c", "/nowhere/x.toml"]));
    assert_eq!(missing.status, 2);
    assert!(
        missing.stderr.contains("/nowhere/x.toml") && missing.stderr.contains("No such file"),
        "{}",
        missing.stderr
    );
}

#[test]
fn secrets_are_never_printed() {
    let secret = "hunter2";
    let folder = tempfile::tempdir().unwrap();
    let good = format!("aws = {{ role_arn = 'arn:aws:iam::1:role/r', external_id = '{secret}' }}\n{GOOD}");
    file(folder.path(), "good.toml", &good);
    let with_variables = GOOD.replace(
        "'sessions'\n[opensearch]",
        "'sessions'\nstart = '${SECRET}'\nendpoint_url = '${SECRET}'\n[opensearch]",
    );
    file(folder.path(), "variables.toml", &with_variables);
    file(folder.path(), "url.toml", &GOOD.replace("http://", &format!("http://me:{secret}@")));
    for name in ["good.toml", "variables.toml", "url.toml"] {
        for command in ["check", "show"] {
            let mut run = streamdex(&["config", command, "-c", name]);
            let ended = end(run.env("SECRET", secret).env("RUST_LOG", "trace").current_dir(folder.path()));
            assert_eq!(ended.status, if name == "good.toml" { 0 } else { 2 }, "{name} {command}: {}", ended.stderr);
            assert!(!ended.stdout.contains(secret), "{name} {command}: {}", ended.stdout);
            assert!(!ended.stderr.contains(secret), "{name} {command}: {}", ended.stderr);
        }
    }
}

#[test]
fn the_schema_is_printed() {
    let ended = end(&mut streamdex(&["config", "schema"]));
    let schema: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.status, &schema["title"]), (0, &Value::from("streamdex configuration")));
}
