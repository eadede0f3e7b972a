//! `map`: the bulk body on stdout, and a line for each record that sends nothing.

use std::path::Path;

use crate::{end, streamdex};

/// The records of `map/odd.ndjson`: every form of a record seen in the wild, every type, view type, TTL policy and
/// kind of id, and moves between indices. `eventID` says what each is about.
#[test]
fn odd_records_give_the_golden_body_and_notes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/map");
    let ended = end(streamdex(&["--config", "odd.toml", "map", "odd.ndjson"]).current_dir(&folder));
    insta::assert_snapshot!("odd_body", ended.stdout);
    insta::assert_snapshot!("odd_notes", ended.stderr);
    assert_eq!(ended.status, 1);
}

#[test]
fn items_are_shown_without_a_version() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/map");
    let ended = end(streamdex(&["--config", "odd.toml", "map", "item.json"]).current_dir(&folder));
    insta::assert_snapshot!("item_body", ended.stdout);
    insta::assert_snapshot!("item_notes", ended.stderr);
    assert_eq!(ended.status, 1);
}

#[test]
fn a_form_that_is_not_known_is_said_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/map/odd.toml");
    for (text, message) in [
        ("{\n\"key1\": \"value1\"\n}\n", "neither a stream record"),
        ("{\n\"Records\": [\n", "not JSON: line 3"),
        ("{\n\"window\": {}, \"Records\": []}\n", "tumbling window"),
        ("{\n\"DDBStreamBatchInfo\": {}}\n", "without the records themselves"),
    ] {
        let path = crate::file(folder.path(), "input.json", text);
        let ended = end(&mut streamdex(&["--config", config.to_str().unwrap(), "map", path.to_str().unwrap()]));
        assert_eq!(ended.status, 2, "{text}");
        assert!(ended.stderr.contains(message) && ended.stderr.contains("hint: "), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn records_of_another_table_are_not_mapped_by_accident() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/map");
    let text = std::fs::read_to_string(folder.join("odd.ndjson")).unwrap().replace("table/odd/", "table/other/");
    let temporary = tempfile::tempdir().unwrap();
    let path = crate::file(temporary.path(), "other.ndjson", &text);
    let path = path.to_str().unwrap();
    let ended = end(streamdex(&["--config", "odd.toml", "map", path]).current_dir(&folder));
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("\"other\"") && ended.stderr.contains("--source"), "{}", ended.stderr);
    let forced = end(streamdex(&["--config", "odd.toml", "map", "--source", "odd", path]).current_dir(&folder));
    assert_eq!(forced.status, 1);
}

/// The page of the example shows this file.
#[test]
fn one_table_is_taken_apart_into_three_indices() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("examples/single-table");
    let ended = end(streamdex(&["--config", "streamdex.toml", "map", "items.json"]).current_dir(&folder));
    let expected = std::fs::read_to_string(folder.join("expected.ndjson")).unwrap();
    assert_eq!((ended.status, ended.stdout.as_str()), (0, expected.as_str()), "{}", ended.stderr);
    assert!(ended.stderr.contains("item 6: filtered"), "{}", ended.stderr);
}
