//! The summary that a worker stores in its heartbeat, for `streamdex status`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::view::{Phase, Status};

/// A few numbers, and the first thing that holds the worker back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The lag of the shard that is furthest behind.
    pub lag_seconds: Option<f64>,
    /// The achieved polling interval, if it clearly misses `freshness`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_freshness_seconds: Option<f64>,
    /// Shards that are read, or wait to be.
    pub shards: usize,
    /// Those that something holds back.
    pub paused: usize,
    /// Those whose lineage stands still.
    pub gapped: usize,
    /// Records decided per second.
    pub rate: f64,
    /// Records decided since the start.
    pub records: u64,
    /// Dead letters among them.
    pub dead_lettered: u64,
    /// Records without an outcome.
    pub undecided: u64,
    /// Calls to DynamoDB Streams in an hour, as things are now.
    pub calls_per_hour: f64,
    /// What holds something back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<String>,
}

/// The item holds other things beside it, and is written every 1.5 seconds: below 1 KB it costs one unit.
const LARGEST: usize = 800;

// === impl Summary ===

impl Summary {
    /// Of this moment.
    pub fn of(status: &Status) -> Summary {
        Summary {
            lag_seconds: status.lag().map(seconds),
            missed_freshness_seconds: status.missed_freshness().map(seconds),
            shards: status.shards.len(),
            paused: status.in_phase(Phase::Paused),
            gapped: status.in_phase(Phase::Gapped),
            rate: tenths(status.rate),
            records: status.tally.records(),
            dead_lettered: status.tally.dead_lettered,
            undecided: status.undecided,
            calls_per_hour: status.projected_calls.round(),
            pause: status.pauses().first().map(|&reason| reason.to_owned()),
        }
    }

    /// As JSON of less than 1 KB; a long reason is cut off.
    pub fn to_json(&self) -> String {
        let mut summary = self.clone();
        loop {
            let json = serde_json::to_string(&summary).unwrap_or_default();
            let characters = summary.pause.as_ref().map_or(0, |reason| reason.chars().count());
            if json.len() <= LARGEST || characters == 0 {
                return json;
            }
            summary.pause = summary.pause.map(|reason| reason.chars().take(characters / 2).collect());
        }
    }

    /// Reads what a worker wrote; what it did not know is 0.
    pub fn parse(json: &str) -> Option<Summary> {
        serde_json::from_str(json).ok()
    }
}

/// Seconds to a tenth.
fn seconds(duration: Duration) -> f64 {
    tenths(duration.as_secs_f64())
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_another_version_wrote_is_read_too() {
        let read = Summary::parse(r#"{"lag_seconds":1.5,"shards":3,"colour":"blue"}"#).unwrap();
        assert_eq!((read.lag_seconds, read.shards, read.records), (Some(1.5), 3, 0));
        assert_eq!(Summary::parse("?"), None);
    }

    proptest! {
        #[test]
        fn a_summary_fits_into_its_item(reason: String, length in 0usize..2000, number: u64, rate in 0.0..1e12f64) {
            let summary = Summary {
                lag_seconds: Some(tenths(rate)), shards: usize::MAX, paused: usize::MAX, gapped: usize::MAX, rate: tenths(rate),
                missed_freshness_seconds: Some(tenths(rate)), records: number, dead_lettered: number, undecided: number, calls_per_hour: rate,
                pause: Some(reason.repeat(length / (reason.len() + 1) + 1)),
            };
            let json = summary.to_json();
            prop_assert!(json.len() < 1024, "{}", json.len());
            prop_assert_eq!(Summary::parse(&json).unwrap().records, number);
        }
    }
}
