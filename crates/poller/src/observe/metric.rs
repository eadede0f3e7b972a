//! Metrics, and their values at one moment.

use super::snapshot::Snapshot;

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The whole name, with unit and `_total`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The unit, where it has one; the name says it too.
    pub unit: Option<Unit>,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is, in one sentence.
    pub help: &'static str,
    /// What to do about it, in one sentence.
    pub remedy: &'static str,
    pub(super) samples: fn(&Snapshot) -> Vec<Sample>,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows from the start of the process on.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in classes.
    Histogram,
}

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// One time series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// One for each label of the metric, in their order.
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Fraction(f64),
    Spread {
        sum: f64,
        count: u64,
        /// Upper bound and count of each class; counts are not added up.
        classes: Vec<(f64, u64)>,
    },
}

// === impl Sample ===

impl Sample {
    pub(super) fn number<const N: usize>(labels: [&str; N], number: u64) -> Sample {
        Sample { labels: labels.map(str::to_owned).into(), value: Value::Number(number) }
    }

    pub(super) fn fraction<const N: usize>(labels: [&str; N], fraction: f64) -> Sample {
        Sample { labels: labels.map(str::to_owned).into(), value: Value::Fraction(fraction) }
    }
}
