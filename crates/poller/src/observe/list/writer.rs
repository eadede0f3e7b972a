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
        help: "1 while writing to an index, or to the whole cluster, is held back for this reason, else 0, as in a process that stands by for all tables. A reason is there once it was met.",
        remedy: "Nothing is lost while it lasts, for up to 24 hours of stream; /status names the index and what to do.",
        samples: paused,
    },
    Metric {
        name: "streamdex_pauses_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["reason"],
        help: "How often writing was held back, by reason.",
        remedy: "Many short ones for throttled or unavailable: the cluster is too small for the load.",
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
        help: "Bulk requests answered, or not answered in time.",
        remedy: "Operations for each of them tell how full they are: see streamdex_bulk_decided_operations_total.",
        samples: |snapshot| number(snapshot, |stats| stats.requests),
    },
    Metric {
        name: "streamdex_bulk_sent_bytes_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Bytes of the bodies of bulk requests, before compression.",
        remedy: "Its rate is the volume that OpenSearch takes.",
        samples: |snapshot| number(snapshot, |stats| stats.bytes),
    },
    Metric {
        name: "streamdex_bulk_request_duration_seconds",
        kind: Kind::Histogram,
        unit: Some(Unit::Seconds),
        labels: &[],
        help: "How long bulk requests took.",
        remedy: "Where it grows with the load, OpenSearch is the bottleneck: more or larger data nodes, fewer replicas while it catches up.",
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
        help: "Operations that were sent again, or given back to be read again.",
        remedy: "Some are normal under load; where they are more than the decided ones, see streamdex_bulk_overloaded_total.",
        samples: |snapshot| number(snapshot, |stats| stats.retried),
    },
    Metric {
        name: "streamdex_bulk_overloaded_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Answers, of operations or whole requests, that the server has too much to do (429).",
        remedy: "The pace adapts by itself; where it lasts, the cluster is too small.",
        samples: |snapshot| number(snapshot, |stats| stats.overloaded),
    },
    Metric {
        name: "streamdex_bulk_unanswered_requests_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Requests of which it is not known whether they were carried out. What was in them is sent again, and deletes of their documents once more a minute later.",
        remedy: "Look at the load of the cluster, and at proxies and networks in between; opensearch.request_timeout is how long an answer is waited for.",
        samples: |snapshot| number(snapshot, |stats| stats.unanswered),
    },
    Metric {
        name: "streamdex_bulk_split_requests_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        help: "Requests that were divided, because they were too large or held an operation that the server does not take.",
        remedy: "Where it grows steadily, lower opensearch.max_batch_bytes.",
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
        help: "Bulk requests that may be in flight now; it adapts between 1 and opensearch.max_concurrent_requests.",
        remedy: "At 1 for long: the server answers that it has too much to do, or slowly.",
        samples: |snapshot| number(snapshot, |stats| stats.limit),
    },
    Metric {
        name: "streamdex_bulk_waiting_operations",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        help: "Operations that wait to be sent.",
        remedy: "Where it does not fall, see streamdex_paused.",
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
