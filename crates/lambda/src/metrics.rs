//! Metrics of an invocation in CloudWatch's embedded metric format: one JSON line on stdout, which CloudWatch turns
//! into metrics without an API call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;
use streamdex_mapping::{Outcome, Tally};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "streamdex";
/// Their dimensions.
pub const DIMENSIONS: [&str; 2] = ["FunctionName", "Table"];

/// What an invocation counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records of the event.
    pub records: u64,
    /// Those with an outcome.
    pub outcomes: Tally,
    /// Those without.
    pub undecided: u64,
    /// Bytes of bulk bodies before compression.
    pub bytes: u64,
    /// How long the bulk requests took, added up.
    pub bulk: Duration,
    /// Operations that were sent again, or read again.
    pub retries: u64,
    /// The age of the newest record when the invocation ended; `None` where no record says.
    pub lag: Option<Duration>,
    /// Records that were created before an earlier one of their batch.
    pub steps_back: u64,
    /// How often something was paused, by the reason.
    pub pauses: BTreeMap<&'static str, u64>,
}

/// Whose counts they are.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// The function.
    pub function: &'a str,
    /// The table.
    pub table: &'a str,
    /// The invocation.
    pub request_id: &'a str,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Unit {
    Count,
    Bytes,
    Milliseconds,
    Seconds,
}

type Metric = (Cow<'static, str>, Unit, u64);

/// The list of metrics.
fn metrics(counts: &Counts) -> Vec<Metric> {
    let named = |name: &'static str, unit, value| (Cow::Borrowed(name), unit, value);
    let mut all = vec![named("Records", Unit::Count, counts.records)];
    all.extend(Outcome::ALL.map(|outcome| named(name_of(outcome), Unit::Count, counts.outcomes.get(outcome))));
    all.extend([
        named("Undecided", Unit::Count, counts.undecided),
        named("Bytes", Unit::Bytes, counts.bytes),
        named("BulkMilliseconds", Unit::Milliseconds, milliseconds(counts.bulk)),
        named("Retries", Unit::Count, counts.retries),
        named("Pauses", Unit::Count, counts.pauses.values().sum()),
        named("CreationTimeBackwards", Unit::Count, counts.steps_back),
    ]);
    all.extend(counts.lag.map(|lag| named("LagSeconds", Unit::Seconds, lag.as_secs())));
    // By reason, where there was one: `Pauses.read_only`.
    all.extend(
        counts.pauses.iter().map(|(reason, count)| (Cow::Owned(format!("Pauses.{reason}")), Unit::Count, *count)),
    );
    all
}

fn name_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::DeadLettered => "DeadLettered",
        Outcome::Applied => "Applied",
        Outcome::Superseded => "Superseded",
        Outcome::Absent => "Absent",
        Outcome::Coalesced => "Coalesced",
        Outcome::Unchanged => "Unchanged",
        Outcome::Filtered => "Filtered",
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws")]
    aws: Metadata<'a>,
    #[serde(rename = "FunctionName")]
    function: &'a str,
    #[serde(rename = "Table")]
    table: &'a str,
    #[serde(rename = "RequestId")]
    request_id: &'a str,
    #[serde(flatten)]
    values: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata<'a> {
    timestamp: u64,
    cloud_watch_metrics: [Directive<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [[&'a str; 2]; 1],
    metrics: Vec<Definition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition<'a> {
    name: &'a str,
    unit: Unit,
}

/// The line, without its line break.
pub fn line(labels: &Labels<'_>, counts: &Counts) -> String {
    let metrics = metrics(counts);
    let definitions = metrics.iter().map(|(name, unit, _)| Definition { name, unit: *unit }).collect();
    let directive = Directive { namespace: NAMESPACE, dimensions: [DIMENSIONS], metrics: definitions };
    let line = Line {
        aws: Metadata { timestamp: labels.at, cloud_watch_metrics: [directive] },
        function: labels.function,
        table: labels.table,
        request_id: labels.request_id,
        values: metrics.iter().map(|(name, _, value)| (&**name, *value)).collect(),
    };
    // Numbers and texts can always be written.
    serde_json::to_string(&line).unwrap_or_default()
}

/// Writes a line to stdout, where CloudWatch reads it.
pub fn to_stdout(line: &str) {
    let mut out = std::io::stdout().lock();
    // Where this fails, nobody is left to report it to.
    let _ = out.write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: Labels<'static> =
        Labels { function: "indexer", table: "sessions", request_id: "r-1", at: 1_795_359_681_123 };

    #[test]
    fn the_line_is_as_cloudwatch_reads_it() {
        let counts = Counts {
            records: 5,
            outcomes: Tally { applied: 3, dead_lettered: 1, ..Tally::default() },
            undecided: 1,
            bytes: 2048,
            bulk: Duration::from_micros(12_900),
            retries: 2,
            lag: Some(Duration::from_millis(1_500)),
            steps_back: 4,
            pauses: BTreeMap::from([("read_only", 2), ("unreachable", 1)]),
        };
        let expected = concat!(
            r#"{"_aws":{"Timestamp":1795359681123,"CloudWatchMetrics":[{"Namespace":"streamdex","#,
            r#""Dimensions":[["FunctionName","Table"]],"Metrics":["#,
            r#"{"Name":"Records","Unit":"Count"},{"Name":"DeadLettered","Unit":"Count"},{"Name":"Applied","Unit":"Count"},"#,
            r#"{"Name":"Superseded","Unit":"Count"},{"Name":"Absent","Unit":"Count"},{"Name":"Coalesced","Unit":"Count"},"#,
            r#"{"Name":"Unchanged","Unit":"Count"},{"Name":"Filtered","Unit":"Count"},{"Name":"Undecided","Unit":"Count"},"#,
            r#"{"Name":"Bytes","Unit":"Bytes"},{"Name":"BulkMilliseconds","Unit":"Milliseconds"},{"Name":"Retries","Unit":"Count"},"#,
            r#"{"Name":"Pauses","Unit":"Count"},{"Name":"CreationTimeBackwards","Unit":"Count"},{"Name":"LagSeconds","Unit":"Seconds"},"#,
            r#"{"Name":"Pauses.read_only","Unit":"Count"},{"Name":"Pauses.unreachable","Unit":"Count"}]}]},"#,
            r#""FunctionName":"indexer","Table":"sessions","RequestId":"r-1","#,
            r#""Absent":0,"Applied":3,"BulkMilliseconds":12,"Bytes":2048,"Coalesced":0,"CreationTimeBackwards":4,"DeadLettered":1,"Filtered":0,"#,
            r#""LagSeconds":1,"Pauses":3,"Pauses.read_only":2,"Pauses.unreachable":1,"Records":5,"Retries":2,"#,
            r#""Superseded":0,"Unchanged":0,"Undecided":1}"#
        );
        assert_eq!(line(&LABELS, &counts), expected);
    }

    #[test]
    fn every_metric_has_a_value_and_every_value_is_a_metric() {
        let json: serde_json::Value = serde_json::from_str(&line(&LABELS, &Counts::default())).unwrap();
        let metrics = json["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 14);
        for metric in metrics {
            assert_eq!(json[metric["Name"].as_str().unwrap()], 0, "{metric}");
        }
        assert_eq!(json.as_object().unwrap().len(), metrics.len() + 4);
        for dimension in DIMENSIONS {
            assert!(json[dimension].is_string());
        }
    }
}
