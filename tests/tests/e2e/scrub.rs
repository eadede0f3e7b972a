//! No message shows anything of an item's values, whatever is wrong with it; its key only where it is asked for.

use std::fs;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use serde_json::Value;
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY};

use super::program::LETTER_FILE;
use crate::lab::event::{event, insert};
use crate::lab::{CONFIG, Lab, number, text};

// Lower case, because a name of an index is made so.
const VALUE: &str = "zqvalsecret7x";
const KEY: &str = "zqkeysecret7x";

/// The routes of this lab: one whose index depends on a value, and the plain one.
fn configure(lab: &Lab) {
    lab.configure(lab.node(), "", "mapping_file = \"mapping.json\"");
    lab.write_file("mapping.json", r#"{"properties":{"huge":{"type":"keyword"},"amount":{"type":"double","ignore_malformed":false},"at":{"type":"date","ignore_malformed":false},"whole":{"type":"object"},"strict":{"type":"object","dynamic":"strict"}}}"#);
    let tenants = format!(
        "[[route]]\nindex = \"{index}-of-{{tenant}}\"\nwhen = {{ attribute = \"tenant\", exists = true }}\nid = [\"user_id\", \"session_id\"]\n",
        index = lab.index
    );
    let plain = lab.read_file(CONFIG);
    lab.write_file(CONFIG, &plain.replacen("[[route]]", &format!("{tenants}[[route]]"), 1));
}

/// Values that are refused: by us, or by OpenSearch. Each holds the secret.
fn bad_values() -> Vec<(&'static str, String)> {
    let deep = (0..45).fold(format!(r#"{{"S":"{VALUE}"}}"#), |inner, _| format!(r#"{{"M":{{"d":{inner}}}}}"#));
    vec![
        ("mixed list", format!(r#""mixed":{{"L":[{{"N":"1"}},{{"M":{{"a":{{"S":"{VALUE}"}}}}}}]}}"#)),
        ("mixed list, secret first", format!(r#""mixed2":{{"L":[{{"S":"{VALUE}"}},{{"M":{{"a":{{"N":"1"}}}}}}]}}"#)),
        ("map for a number", format!(r#""amount":{{"M":{{"a":{{"S":"{VALUE}"}}}}}}"#)),
        ("map for a date", format!(r#""at":{{"M":{{"a":{{"S":"{VALUE}"}}}}}}"#)),
        ("text for an object", format!(r#""whole":{{"S":"{VALUE}"}}"#)),
        ("unknown field", format!(r#""strict":{{"M":{{"a":{{"S":"{VALUE}"}}}}}}"#)),
        ("unknown field called by a key", format!(r#""strict":{{"M":{{"{VALUE}":{{"S":"1"}}}}}}"#)),
        ("unknown tag", format!(r#""city":{{"X":"{VALUE}"}}"#)),
        ("two tags", format!(r#""city":{{"S":"{VALUE}","N":"1"}}"#)),
        ("no number", format!(r#""amount":{{"N":"{VALUE}"}}"#)),
        ("too large", format!(r#""note":{{"S":"{}"}}"#, VALUE.repeat(900_000))),
        ("immense term", format!(r#""huge":{{"S":"{}"}}"#, VALUE.repeat(4_000))),
        ("too deep", format!(r#""deep":{deep}"#)),
        ("two values for a field", format!(r#""_source":{{"S":"{VALUE}"}},"x_source":{{"S":"{VALUE}"}}"#)),
        ("invalid index", format!(r#""tenant":{{"S":"{VALUE} *?"}}"#)),
        ("index of a map", format!(r#""tenant":{{"M":{{"a":{{"S":"{VALUE}"}}}}}}"#)),
        ("empty name", format!(r#""":{{"S":"{VALUE}"}}"#)),
    ]
}

/// Items that the table takes, and OpenSearch or we do not.
fn bad_items() -> Vec<Item> {
    let map = |value: AttributeValue| AttributeValue::M([("a".to_owned(), value)].into());
    let values = [
        ("mixed", AttributeValue::L(vec![number("1"), map(text(VALUE))])),
        ("amount", map(text(VALUE))),
        ("whole", text(VALUE)),
        ("strict", map(text(VALUE))),
        ("huge", text(&VALUE.repeat(4_000))),
        ("tenant", text(&format!("{VALUE} *?"))),
    ];
    let item = |(place, (name, value)): (usize, (&str, AttributeValue))| {
        Item::from([
            (PARTITION_KEY.to_owned(), text(KEY)),
            (SORT_KEY.to_owned(), text(&place.to_string())),
            (name.to_owned(), value),
        ])
    };
    values.into_iter().enumerate().map(item).collect()
}

/// Fails where a secret shows.
fn is_clean(what: &str, output: &str) {
    let lower = output.to_lowercase();
    for secret in [VALUE, KEY] {
        if let Some(at) = lower.find(secret) {
            let around: String = output.chars().skip(at.saturating_sub(300)).take(700).collect();
            panic!("{what} shows {secret}: {around}");
        }
    }
}

/// Letters keep keys and ids, and nothing else.
fn letters_are_clean(letters: Vec<Value>) {
    for mut letter in letters {
        assert!(letter["keys"].as_str().is_none_or(|keys| !keys.contains(VALUE)), "{letter}");
        for private in ["keys", "id", "routing"] {
            letter.as_object_mut().unwrap().remove(private);
        }
        is_clean("a dead letter", &letter.to_string());
    }
}

const LOGS: [(&str, &[(&str, &str)]); 3] =
    [("text", &[]), ("text", &[("RUST_LOG", "info")]), ("json", &[("RUST_LOG", "info")])];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_tells_no_values() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    configure(&lab);
    let bad = bad_values();
    let arn = &lab.table.stream_arn;
    let mut records: Vec<String> =
        (1_001..).zip(&bad).map(|(position, (_, attributes))| insert(arn, position, KEY, attributes)).collect();
    // Refused as records, not for a value.
    let whole = insert(arn, 2_001, KEY, &format!(r#""city":{{"S":"{VALUE}"}}"#));
    records.push(whole.replace("1750000000", &format!("\"{VALUE}\"")));
    records.push(whole.replace("\"INSERT\"", &format!("\"{VALUE}\"")));
    records.push(whole.replace(r#""NewImage":{"#, &format!(r#""NewImage":"{VALUE}","Other":{{"#)));
    records.push(whole.replace(&format!(r#""S":"{KEY}""#), &format!(r#""X":"{KEY}""#)));
    lab.write_file("event.json", &event(&records));
    // Lines that are no records.
    lab.write_file(
        "lines.ndjson",
        &format!("{{\"{VALUE}\": {KEY}\n{{\"{KEY}\":\"{VALUE}\"}}\n[\"{VALUE}\"]\n{VALUE}\n"),
    );

    for (format, env) in LOGS {
        for file in ["event.json", "lines.ndjson"] {
            let _ = fs::remove_file(lab.folder.path().join(LETTER_FILE));
            let ended = lab.end_with(&["replay", "--images", "--log-format", format, "--json", file], env).await;
            is_clean("stdout", &ended.stdout);
            is_clean("stderr", &ended.stderr);
            assert!([1, 2].contains(&ended.status), "{file}: {ended:?}");
            let letters = lab.file_letters();
            if file == "event.json" {
                every_refusal_happened(&bad, &letters);
            }
            letters_are_clean(letters);
            for arguments in
                [["dlq", "list", "--file", LETTER_FILE].as_slice(), &["dlq", "list", "--json", "--file", LETTER_FILE]]
            {
                let listed = lab.end_with(arguments, env).await;
                is_clean("dlq list", &format!("{}{}", listed.stdout, listed.stderr));
            }
        }
    }
    // The one place that is asked for the key.
    let _ = fs::remove_file(lab.folder.path().join(LETTER_FILE));
    lab.end(&["replay", "--images", "event.json"]).await;
    let listed = lab.end(&["dlq", "list", "--json", "--file", LETTER_FILE]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    for letter in listed["dead_letters"].as_array().unwrap() {
        let shown = lab.end(&["dlq", "show", letter["key"].as_str().unwrap(), "--file", LETTER_FILE]).await;
        assert!(shown.status == 0 && !shown.stdout.contains(VALUE), "{letter}: {shown:?}");
        if letter["record"] == "100100000000000000000000" {
            assert!(shown.stdout.contains(KEY), "{shown:?}");
        }
    }
}

/// A secret that was never near an error proves nothing.
fn every_refusal_happened(bad: &[(&str, String)], letters: &[Value]) {
    let is_there = |position: usize| {
        let record = format!("{}00000000000000000000", 1_001 + position);
        letters.iter().find(|letter| letter["record"] == record.as_str())
    };
    for (position, (what, _)) in bad.iter().enumerate() {
        match is_there(position) {
            Some(letter) => println!("{what}: {}: {}", letter["reason"], letter["error"]),
            None => println!("{what}: no letter"),
        }
    }
    let missing: Vec<&str> = bad
        .iter()
        .enumerate()
        .filter(|(position, _)| is_there(*position).is_none())
        .map(|(_, (what, _))| *what)
        .collect();
    assert!(missing.is_empty(), "no dead letter for {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_tells_no_values() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    let items = bad_items();
    for item in &items {
        lab.put(item.clone()).await;
    }
    for (format, env) in LOGS {
        // A separate group reads the stream from its beginning.
        configure(&lab);
        lab.use_group(&format!("{format}-{}", env.len()));
        let ended = lab.end_with(&["run", "--until-end", "--json", "--log-format", format], env).await;
        is_clean("stdout", &ended.stdout);
        is_clean("stderr", &ended.stderr);
        assert_eq!(ended.status, 1, "{}", ended.stderr);
        let dead = ended.summary()["outcomes"]["dead_lettered"].as_u64();
        assert_eq!(dead, u64::try_from(items.len()).ok(), "{}\n{}", ended.stdout, ended.stderr);
        for arguments in [["dlq", "list"].as_slice(), &["dlq", "list", "--json"]] {
            let listed = lab.end_with(arguments, env).await;
            assert_eq!(listed.status, 0, "{}", listed.stderr);
            assert!(!listed.stdout.is_empty());
            is_clean("dlq list", &format!("{}{}", listed.stdout, listed.stderr));
        }
    }
    for row in lab.state_rows("pk", "").await {
        assert!(!format!("{row:?}").contains(VALUE), "{row:?}");
    }
}
