//! Every metric, once: what is served, what `docs/metrics.md` says and what dashboards may ask for come from here.

mod source;
mod writer;

use std::sync::LazyLock;

use super::metric::{Kind, Metric, Sample, Unit};

/// All metrics, in the order in which they are shown.
pub static METRICS: LazyLock<Vec<Metric>> =
    LazyLock::new(|| PROCESS.iter().chain(source::METRICS).chain(writer::METRICS).copied().collect());

const PROCESS: &[Metric] = &[
    Metric {
        name: "streamdex_build_info",
        kind: Kind::Gauge,
        unit: None,
        labels: &["version"],
        help: "Always 1. The label has the version.",
        remedy: "Compare the replicas during a rolling deployment.",
        samples: |_| vec![Sample::number([env!("CARGO_PKG_VERSION")], 1)],
    },
    Metric {
        name: "streamdex_uptime_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &[],
        help: "How long the process has been running.",
        remedy: "If it falls again and again, look at the exit status and the last lines of the log.",
        samples: |snapshot| vec![Sample::fraction([], snapshot.uptime.as_secs_f64())],
    },
    Metric {
        name: "streamdex_ready",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        help: "What /readyz says: 1 while the state table, OpenSearch and, for the reader, DynamoDB Streams answer, otherwise 0. A standby is ready.",
        remedy: "Ask /readyz or streamdex status for the reasons.",
        samples: |snapshot| vec![Sample::number([], u64::from(snapshot.unready().is_empty()))],
    },
    Metric {
        name: "streamdex_opensearch_answer_age_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &[],
        help: "How long ago OpenSearch last answered. The process asks every 5 seconds. Missing until OpenSearch has answered once.",
        remedy: "Above 15 s, check the network, the security groups and the health of the cluster.",
        samples: |snapshot| {
            snapshot.opensearch.answered.iter().map(|ago| Sample::fraction([], ago.as_secs_f64())).collect()
        },
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

#[cfg(test)]
mod tests;
