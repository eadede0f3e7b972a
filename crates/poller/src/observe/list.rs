//! Every metric, once: what is served, what `docs/metrics.md` says and what dashboards may ask for come from here.

mod source;
mod writer;

use std::sync::LazyLock;

use super::look::Look;

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
    pub(super) samples: fn(&Look) -> Vec<Sample>,
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

/// All metrics, in the order in which they are shown.
pub static METRICS: LazyLock<Vec<Metric>> =
    LazyLock::new(|| PROCESS.iter().chain(source::METRICS).chain(writer::METRICS).copied().collect());

const PROCESS: &[Metric] = &[
    Metric {
        name: "streamdex_build_info",
        kind: Kind::Gauge,
        unit: None,
        labels: &["version"],
        help: "Always 1; the label tells the version.",
        remedy: "Compare the replicas while a deployment rolls.",
        samples: |_| vec![Sample::number([env!("CARGO_PKG_VERSION")], 1)],
    },
    Metric {
        name: "streamdex_uptime_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &[],
        help: "How long the process has been running.",
        remedy: "Where it falls again and again, look at the exit status and the last lines of the log.",
        samples: |look| vec![Sample::fraction([], look.uptime.as_secs_f64())],
    },
    Metric {
        name: "streamdex_ready",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        help: "What /readyz says: 1 while a heartbeat is confirmed and OpenSearch answers, else 0.",
        remedy: "Ask /readyz itself, or streamdex status: the answer names the reasons.",
        samples: |look| vec![Sample::number([], u64::from(look.unready().is_empty()))],
    },
    Metric {
        name: "streamdex_opensearch_answer_age_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &[],
        help: "How long ago OpenSearch last answered; it is asked every 15 seconds. Missing until it has answered once.",
        remedy: "From 45 s on: check network, security groups and the cluster's health.",
        samples: |look| look.opensearch.answered.iter().map(|ago| Sample::fraction([], ago.as_secs_f64())).collect(),
    },
];

// === impl Metric ===

impl Metric {
    /// The name without `_total` and unit.
    pub(super) fn stem(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let unit = self.unit.map_or("", Unit::suffix);
        name.strip_suffix(unit).unwrap_or(name)
    }
}

impl Kind {
    /// The word of the exposition format.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
        }
    }
}

// === impl Sample ===

impl Sample {
    fn number<const N: usize>(labels: [&str; N], number: u64) -> Sample {
        Sample { labels: labels.map(str::to_owned).into(), value: Value::Number(number) }
    }

    fn fraction<const N: usize>(labels: [&str; N], fraction: f64) -> Sample {
        Sample { labels: labels.map(str::to_owned).into(), value: Value::Fraction(fraction) }
    }
}

#[cfg(test)]
mod tests;
