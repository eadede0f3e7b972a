//! The metrics of writing to OpenSearch.

use std::collections::BTreeMap;

use streamdex_sink::writer::{LATENCY_BOUNDS, WriterStats};

use crate::observe::metric::{Kind, Metric, Sample, Unit, Value};
use crate::observe::snapshot::Snapshot;

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "streamdex_paused",
        kind: Kind::Gauge,
        unit: None,
        labels: &["reason"],
        help: "1 while writing to an index or to the whole cluster is paused for this reason, otherwise 0. A standby for all tables reports 0. A reason appears when it first occurs.",
        remedy: "Nothing is lost for up to 24 hours. /status names the index and what to do.",
        samples: paused,
    },
    Metric {
        name: "streamdex_pauses_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["reason"],
        help: "How often writing was paused, by reason.",
        remedy: "Many short pauses for throttled or unavailable: the cluster is too small for the load.",
        samples: |snapshot| {
            let reasons = snapshot.writer.stats.paused.iter();
            reasons.map(|(reason, times)| Sample::number([reason], *times)).collect()
        },
    },
    Metric {
        name: "streamdex_bulk_requests_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Bulk requests that were answered, or not answered in time.",
        remedy: "Divide streamdex_bulk_decided_operations_total by it to see how full the requests are.",
        samples: |snapshot| number(snapshot, |stats| stats.requests),
    },
    Metric {
        name: "streamdex_bulk_sent_bytes_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Size of the bodies of bulk requests, before compression.",
        remedy: "Its rate is the volume that OpenSearch receives.",
        samples: |snapshot| number(snapshot, |stats| stats.bytes),
    },
    Metric {
        name: "streamdex_bulk_request_duration_seconds",
        kind: Kind::Histogram,
        unit: Some(Unit::Seconds),
        labels: &[],
        help: "How long bulk requests took.",
        remedy: "If it grows with the load, OpenSearch is the bottleneck. Add data nodes or use larger ones, and use fewer replicas of the index until it has caught up.",
        samples: |snapshot| vec![Sample { labels: Vec::new(), value: duration(&snapshot.writer.stats) }],
    },
    Metric {
        name: "streamdex_bulk_decided_operations_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Operations with a final decision.",
        remedy: "Its rate is the throughput of writing.",
        samples: |snapshot| number(snapshot, |stats| stats.decided),
    },
    Metric {
        name: "streamdex_bulk_retried_operations_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Operations that were sent again, or returned to be read again.",
        remedy: "Some are normal under load. If there are more of them than decided operations, see streamdex_bulk_overloaded_total.",
        samples: |snapshot| number(snapshot, |stats| stats.retried),
    },
    Metric {
        name: "streamdex_bulk_overloaded_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Answers with status 429 (too many requests), for operations or whole requests.",
        remedy: "The pace adapts automatically. If it lasts, the cluster is too small.",
        samples: |snapshot| number(snapshot, |stats| stats.overloaded),
    },
    Metric {
        name: "streamdex_bulk_unanswered_requests_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Requests without an answer: nobody knows whether OpenSearch carried them out. Their operations are sent again. Deletes of their documents are sent a second time a minute later.",
        remedy: "Look at the load of the cluster, and at proxies and networks in between. opensearch.request_timeout sets how long streamdex waits for an answer.",
        samples: |snapshot| number(snapshot, |stats| stats.unanswered),
    },
    Metric {
        name: "streamdex_bulk_split_requests_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Requests that were split because they were too large, or because the server did not accept one of their operations.",
        remedy: "If it keeps growing, lower opensearch.max_batch_bytes.",
        samples: |snapshot| number(snapshot, |stats| stats.split),
    },
    Metric {
        name: "streamdex_bulk_requests_in_flight",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        help: "Bulk requests in flight.",
        remedy: "At streamdex_bulk_requests_limit for long: OpenSearch is slower than the stream.",
        samples: |snapshot| number(snapshot, |stats| stats.in_flight),
    },
    Metric {
        name: "streamdex_bulk_requests_limit",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        help: "The number of bulk requests that may be in flight now. It adapts between 1 and opensearch.max_concurrent_requests.",
        remedy: "At 1 for long: the server answers slowly, or with 429.",
        samples: |snapshot| number(snapshot, |stats| stats.limit),
    },
    Metric {
        name: "streamdex_bulk_waiting_operations",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        help: "Operations that are waiting to be sent.",
        remedy: "If it does not fall, see streamdex_paused.",
        samples: |snapshot| number(snapshot, |stats| stats.waiting),
    },
];

fn number(snapshot: &Snapshot, number: impl Fn(&WriterStats) -> u64) -> Vec<Sample> {
    vec![Sample::number([], number(&snapshot.writer.stats))]
}

fn paused(snapshot: &Snapshot) -> Vec<Sample> {
    let met = snapshot.writer.stats.paused.keys().map(|reason| (*reason, 0));
    let mut reasons: BTreeMap<&str, u64> = met.collect();
    reasons.extend(snapshot.writer.pauses.iter().map(|pause| (pause.reason.name(), 1)));
    reasons.into_iter().map(|(reason, paused)| Sample::number([reason], paused)).collect()
}

fn duration(stats: &WriterStats) -> Value {
    let bounds = LATENCY_BOUNDS.iter().map(|bound| f64::from(*bound) / 1000.0).chain([f64::INFINITY]);
    Value::Spread {
        sum: stats.took.as_secs_f64(),
        count: stats.latency.iter().sum(),
        classes: bounds.zip(stats.latency).collect(),
    }
}
