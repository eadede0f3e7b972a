//! `streamdex dlq` over a file.

use serde_json::Value;

use crate::{end, file, streamdex};

const LETTERS: &str = concat!(
    r#"{"v":1,"stream":"2026-11-22T15:01:21.123","record":"100000000000000000001","ordinal":0,"table":"sessions","at":1795359681,"#,
    r#""created":1795359680,"keys":"{\"pk\":{\"S\":\"alice\"}}","role":"live","index":"sessions","generation":1,"id":"alice","#,
    r#""version":3855000000000000000,"reason":"mapper_parsing_exception","error":"field [x] of type [long]"}"#,
    "\nnot a letter\n",
);
const KEY: &str = "2026-11-22T15:01:21.123|100000000000000000001|0";

#[test]
fn letters_are_listed_without_ids_and_shown_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "letters.ndjson", LETTERS);
    let path = path.to_str().unwrap();

    let listed = end(&mut streamdex(&["dlq", "list", "--file", path]));
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    let [key, ..] = listed.stdout.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{}", listed.stdout) };
    assert!(
        listed.stdout.contains("2026-11-22T15:01:21Z  sessions  sessions  mapper_parsing_exception: field [x]"),
        "{}",
        listed.stdout
    );
    assert!(!listed.stdout.contains("alice"), "{}", listed.stdout);
    assert!(listed.stderr.contains("line 2"), "{}", listed.stderr);

    let json = end(&mut streamdex(&["dlq", "list", "--json", "--file", path]));
    let result: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&result["dead_letters"][0]["key"], &result["malformed"][0]),
        (&Value::from(key), &Value::from("line 2"))
    );
    assert!(!json.stdout.contains("alice"), "{}", json.stdout);

    let shown = end(&mut streamdex(&["dlq", "show", key, "--file", path]));
    assert_eq!(shown.status, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("id          alice\n"), "{}", shown.stdout);
    let shown = end(&mut streamdex(&["dlq", "show", KEY, "--json", "--file", path]));
    assert_eq!(serde_json::from_str::<Value>(&shown.stdout).unwrap()["id"], "alice");
}

#[test]
fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "letters.ndjson", "");
    let path = path.to_str().unwrap();
    let empty = end(&mut streamdex(&["dlq", "list", "--file", path]));
    assert_eq!((empty.status, empty.stdout.as_str()), (0, ""));
    assert_eq!(empty.stderr, format!("no dead letters in the file {path}\n"));
    let json = end(&mut streamdex(&["dlq", "list", "--json", "--file", path]));
    assert_eq!((json.status, json.stderr.as_str()), (0, ""));
    let result: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&result["dead_letters"], &result["place"]),
        (&serde_json::json!([]), &Value::from(format!("the file {path}")))
    );
    for arguments in [
        &["dlq", "list", "--file", "/nowhere/x"][..],
        &["dlq", "show", KEY, "--file", path],
        &["dlq", "show", "x", "--file", path],
    ] {
        let ended = end(&mut streamdex(arguments));
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}
