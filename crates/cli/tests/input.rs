//! Captured files as they are found: by tools of other systems, cut, broken, or of something else.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Ended, end, streamdex};

const CONFIG: &str = "[source]\ntable = 'sessions'\n[opensearch]\nurl = 'http://127.0.0.1:1'\n[[route]]\nindex = 'sessions'\nid = ['pk']\n";

fn record(key: &str) -> String {
    format!(
        r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"{key}"}}}},"NewImage":{{"pk":{{"S":"{key}"}}}},"SequenceNumber":"700000000000000000001"}}}}"#
    )
}

fn run(folder: &Path, command: &[&str], input: &[u8]) -> Ended {
    std::fs::write(folder.join("streamdex.toml"), CONFIG).unwrap();
    std::fs::write(folder.join("input"), input).unwrap();
    end(streamdex(command).args(["-c", "streamdex.toml", "input"]).current_dir(folder))
}

fn ids(body: &str) -> Vec<String> {
    let actions = body.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    actions.filter_map(|line| Some(line["index"]["_id"].as_str()?.to_owned())).collect()
}

#[test]
fn what_holds_no_stream_records_is_refused_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = format!("{}\n", record("a"));
    lines.push_str("{\"level\":\"info\",\"message\":\"hello\"}\n");
    let others = "{\"level\":\"info\"}\n".repeat(5000);
    let pretty = "{\n  \"level\": \"info\"\n}\n";
    let list = "{\"Records\": [\n{\"level\": \"info\"}\n]}\n";
    let text = "2026-01-01 info hello\n".repeat(5000);
    for (input, place) in [
        (lines.as_str(), "input line 2"),
        (&others, "input line 1"),
        (pretty, "input: "),
        (list, "input: "),
        (&text, "input: "),
    ] {
        let ended = run(folder.path(), &["map"], input.as_bytes());
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{place}: {}", ended.stderr);
        assert!(ended.stderr.contains(place) && ended.stderr.contains("hint: "), "{}", ended.stderr);
    }
}

#[test]
fn files_of_other_systems_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let lines = format!("{}\r\n{}\r\n", record("a"), record("ü"));
    let marked = format!("\u{feff}{lines}");
    let wide = marked.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&wide).unwrap();
    for input in [lines.into_bytes(), marked.into_bytes(), wide, packed.finish().unwrap()] {
        let ended = run(folder.path(), &["map"], &input);
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
        assert_eq!(ids(&ended.stdout), ["a", "ü"]);
    }
}

#[test]
fn a_bad_line_is_one_bad_record() {
    let folder = tempfile::tempdir().unwrap();
    let good = record("a");
    let cut = &good[good.len() / 2..];
    let mut broken = record("bXb").into_bytes();
    let at = broken.windows(3).position(|bytes| bytes == b"bXb").unwrap();
    broken[at + 1] = 0xFF;
    for bad in [cut.as_bytes(), &broken, b"not json"] {
        let good = good.as_bytes();
        for lines in [[bad, good, good], [good, bad, good]] {
            let ended = run(folder.path(), &["map"], &lines.join(&b'\n'));
            assert_eq!(ended.status, 1, "{}", ended.stderr);
            assert_eq!(ended.stderr.matches("bad: ").count(), 1, "{}", ended.stderr);
            assert_eq!(ids(&ended.stdout), ["a"], "the other is coalesced");
        }
    }
    // In a list, the record with the bytes is the bad one, and not its neighbours.
    let list = [b"{\"Records\":[", good.as_bytes(), b",", &broken, b",", record("c").as_bytes(), b"]}"].concat();
    let ended = run(folder.path(), &["map"], &list);
    assert_eq!((ended.status, ids(&ended.stdout)), (1, vec!["a".to_owned(), "c".to_owned()]), "{}", ended.stderr);
    assert!(ended.stderr.contains("record 2: bad"), "{}", ended.stderr);
}

#[test]
fn an_item_alone_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    for input in ["{\"pk\":{\"S\":\"a\"}}", "{\n\"pk\": {\"S\": \"a\"}\n}\n", "{\"Item\":{\"pk\":{\"S\":\"a\"}}}"] {
        let ended = run(folder.path(), &["map"], input.as_bytes());
        assert_eq!((ended.status, ended.stderr.as_str(), ids(&ended.stdout)), (0, "", vec!["a".to_owned()]));
    }
}

#[test]
fn an_input_without_records_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for input in ["", "\n\n", "[]", "{\"Records\":[]}"] {
        let ended = run(folder.path(), &["map"], input.as_bytes());
        assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", "input: no records\n"));
    }
}
