//! `docs/metrics.md` is generated; `UPDATE_DOCS=1` updates it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::*;
use crate::observe::metric::Value;
use crate::observe::tests::boards;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn names_tell_kind_and_unit() {
    let mut names = BTreeSet::new();
    for metric in METRICS.iter() {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        assert!(metric.name.starts_with("streamdex_"), "{}", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        let unit = metric.unit.map_or("", Unit::suffix);
        let total = if metric.kind == Kind::Counter { "_total" } else { "" };
        assert_eq!(format!("{}{unit}{total}", metric.stem()), metric.name);
        for text in [metric.help, metric.remedy] {
            assert!(
                text.len() > 4 && text.ends_with('.') && !text.contains(['\n', '\\', '|', '"']),
                "{}: {text}",
                metric.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_series_has_a_value_for_each_label() {
    let snapshot = boards().await.snapshot();
    for metric in METRICS.iter() {
        let samples = (metric.samples)(&snapshot);
        assert!(!samples.is_empty(), "{} is never there", metric.name);
        let mut seen = BTreeSet::new();
        for sample in samples {
            assert_eq!(sample.labels.len(), metric.labels.len(), "{}", metric.name);
            assert!(seen.insert(sample.labels), "{} has a series twice", metric.name);
            let spread = matches!(sample.value, Value::Spread { .. });
            assert_eq!(spread, metric.kind == Kind::Histogram, "{}", metric.name);
        }
    }
}

#[test]
fn the_reference_is_current() {
    let path = repository().join("docs/metrics.md");
    let expected = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/metrics.md is not current: UPDATE_DOCS=1 cargo test -p streamdex-poller --lib observe updates it"
    );
}

fn reference() -> String {
    let mut text = String::from(
        "<!-- Generated from crates/poller/src/observe/list: UPDATE_DOCS=1 cargo test -p streamdex-poller --lib observe -->

# Metrics

`streamdex run` serves these metrics at `/metrics` if you set `[http] listen`, `--listen` or `STREAMDEX_LISTEN`. The format is the
text format of Prometheus, or OpenMetrics if the client asks for it. The same port has these paths:

| path | answers |
|---|---|
| `/` | A page for people. It shows what `/status` says, and refreshes itself. It is a single file and loads nothing from elsewhere. |
| `/livez` | 200 while the process works; 503 when the task that runs a source has made no progress for a minute. It never depends on OpenSearch or DynamoDB, because a restart does not repair them. |
| `/readyz` | 200 while the state table, OpenSearch and, for the reader, DynamoDB Streams answer; otherwise 503 with a line for each reason. A standby is ready. |
| `/status` | Everything that the process knows, as JSON. `streamdex status --url http://HOST:PORT` shows it. |
| `POST /await` | Waits until searches find what the table holds for an item: [how](operations.md#wait-for-ones-own-write). It is off until you set `[http] await_per_second`. |

None of these show contents or ids of documents, except that `/status` names indices, and a placeholder puts a value into the name. `source` is the name of the source, or its table's name if it has none.
A dashboard for Grafana is [deploy/grafana/streamdex.json](../deploy/grafana/streamdex.json).
Counters begin at 0 when the process starts. Only the reader reports on shards, so take the maximum over all replicas.
",
    );
    let sections =
        [("The process", PROCESS), ("Each source", source::METRICS), ("Writing to OpenSearch", writer::METRICS)];
    for (heading, metrics) in sections {
        writeln!(text, "\n## {heading}\n\n| metric | kind | labels | meaning | what to do |\n|---|---|---|---|---|")
            .unwrap();
        for metric in metrics {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, labels) = (metric.name, metric.kind.word(), labels.join(", "));
            writeln!(text, "| `{name}` | {kind} | {labels} | {} | {} |", metric.help, metric.remedy).unwrap();
        }
    }
    text
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_are_there() {
    let text = std::fs::read_to_string(repository().join("deploy/grafana/streamdex.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let metrics: Vec<&Metric> = words(expression).filter_map(|word| known(word, expression)).collect();
            assert!(!metrics.is_empty(), "{expression}");
            let mut labels: BTreeSet<&str> = BTreeSet::from(["instance", "le"]);
            labels.extend(metrics.iter().flat_map(|metric| metric.labels));
            for group in expression.split("by (").skip(1) {
                let group = group.split_once(')').unwrap().0;
                assert!(group.split(", ").all(|label| labels.contains(label)), "{expression}");
            }
            for label in target["legendFormat"].as_str().unwrap().split("{{").skip(1) {
                assert!(labels.contains(label.split_once("}}").unwrap().0), "{expression}");
            }
            asked.extend(metrics.into_iter().map(|metric| metric.name));
        }
    }
    let unasked: Vec<&str> = METRICS.iter().map(|metric| metric.name).filter(|name| !asked.contains(name)).collect();
    // What the others tell already, or what matters while something is looked into alone.
    let left_out = [
        "streamdex_records_before_start_total",
        // Once in the life of an index.
        "streamdex_backfill_complete",
        "streamdex_backfill_items",
        "streamdex_backfill_expected_items",
        // An emulator's or a proxy's.
        "streamdex_incomplete_answers_total",
        "streamdex_pauses_total",
        "streamdex_bulk_requests_total",
        "streamdex_bulk_unanswered_requests_total",
        "streamdex_bulk_split_requests_total",
    ];
    assert_eq!(unasked, left_out);
}

fn words(expression: &str) -> impl Iterator<Item = &str> {
    expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("streamdex_"))
}

fn known(word: &str, expression: &str) -> Option<&'static Metric> {
    let metrics: &'static [Metric] = &METRICS;
    let is_named = |metric: &&Metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].iter().any(|end| word.strip_suffix(end) == Some(metric.name)),
        _ => metric.name == word,
    };
    let metric = metrics.iter().find(is_named);
    assert!(metric.is_some(), "there is no {word}: {expression}");
    metric
}
