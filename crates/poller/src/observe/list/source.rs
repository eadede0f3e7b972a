//! The metrics of each source.

use streamdex_mapping::Outcome;

use crate::gap::GapKind;
use crate::observe::metric::{Kind, Metric, Sample, Unit};
use crate::observe::snapshot::{Snapshot, SourceSnapshot};
use crate::status::{Call, Fill, LeaseChange, Phase, Status};

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "streamdex_lag_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &["source"],
        help: "How old the index is with regard to the shard that is furthest behind, of those that this worker reads; it grows while reading or writing fails, and is 0 only where the end of every shard was seen and everything is acknowledged. A standby has none.",
        remedy: "Where it grows, streamdex_shards, streamdex_paused and streamdex_get_records_total tell whether reading or writing fails. After 24 hours records are lost. Alarm on its absence too: then nobody reads.",
        samples: |snapshot| {
            let lag =
                |source: &SourceSnapshot| Some(Sample::fraction([&source.name], source.status.lag()?.as_secs_f64()));
            snapshot.sources.iter().filter_map(lag).collect()
        },
    },
    Metric {
        name: "streamdex_shard_lag_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &["source", "shard"],
        help: "The same for each shard that this worker reads; a shard whose lineage stands still has none.",
        remedy: "One shard alone far behind the others is a hot key, or is read by somebody else too.",
        samples: |snapshot| {
            let of_source = |source: &SourceSnapshot| -> Vec<Sample> {
                let shards = source.status.shards.iter();
                let lag = shards.filter_map(|shard| {
                    Some(Sample::fraction([&source.name, shard.shard.as_str()], shard.lag?.as_secs_f64()))
                });
                lag.collect()
            };
            snapshot.sources.iter().flat_map(of_source).collect()
        },
    },
    Metric {
        name: "streamdex_shards",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source", "phase"],
        help: "Shards, by what is going on with them: waiting, reading, paused, searching_children or gapped (changes are missing, the lineage stands still).",
        remedy: "paused: see streamdex status for the reason. gapped: see streamdex_gaps. searching_children for long: the table's stream was switched off.",
        samples: |snapshot| by_word(snapshot, Phase::ALL, Phase::name, |status, phase| count(status.in_phase(phase))),
    },
    Metric {
        name: "streamdex_records_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source", "outcome"],
        help: "Records that have their outcome, by outcome.",
        remedy: "Its rate is the throughput. Many superseded: the records were read before, as after a restart without checkpoint.",
        samples: |snapshot| by_word(snapshot, Outcome::ALL, Outcome::name, |status, outcome| status.tally.get(outcome)),
    },
    Metric {
        name: "streamdex_dead_letters_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Records that can never be indexed; the outcome dead_lettered once more, for alarms.",
        remedy: "Alarm on any increase: streamdex dlq list names them and the reasons.",
        samples: |snapshot| plain(snapshot, |status| status.tally.dead_lettered),
    },
    Metric {
        name: "streamdex_records_in_flight",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "Records that were taken up and have no outcome yet; no checkpoint passes them.",
        remedy: "Where it does not fall, writing is held back: see streamdex_paused.",
        samples: |snapshot| plain(snapshot, |status| status.undecided),
    },
    Metric {
        name: "streamdex_records_before_start_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Records passed over where the source starts at latest, because they are from before the start.",
        remedy: "Nothing; it stops growing when the start is reached.",
        samples: |snapshot| plain(snapshot, |status| status.before_start),
    },
    Metric {
        name: "streamdex_backfill_complete",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "1 where the index holds what the table held before its stream was followed, 0 while that may be missing (phase = partial). Only the reader of the table knows.",
        remedy: "0 that stays: streamdex status says whether somebody fills it; streamdex backfill does.",
        samples: |snapshot| {
            by_source(snapshot, |status| match &status.fill {
                Fill::Unknown => None,
                Fill::Partial(_) => Some(0),
                Fill::Complete { .. } => Some(1),
            })
        },
    },
    Metric {
        name: "streamdex_backfill_items",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "Items that the backfill under way has written. It is missing where there is none.",
        remedy: "Where it stands still, see streamdex_paused, and the log for the reason.",
        samples: |snapshot| by_source(snapshot, |status| status.fill.report().map(|report| report.items)),
    },
    Metric {
        name: "streamdex_backfill_expected_items",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "About how many items the table has that is filled, as DynamoDB counted them in the last six hours.",
        remedy: "Compare it with streamdex_backfill_items.",
        samples: |snapshot| by_source(snapshot, |status| status.fill.report().map(|report| report.expected)),
    },
    Metric {
        name: "streamdex_get_records_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source", "result"],
        help: "Calls of GetRecords: with records, empty, throttled, expired (the iterator was too old) or failed.",
        remedy: "Many empty: raise freshness to save calls. throttled that lasts: another reader is on the shards; a table's stream serves two, that of a global table one.",
        samples: |snapshot| {
            by_word(snapshot, Call::ALL, Call::name, |status, call| *status.counters.calls.get(&call).unwrap_or(&0))
        },
    },
    Metric {
        name: "streamdex_incomplete_answers_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Answers of GetRecords with status 200 that say nothing: without a list of records, or without a next iterator on a shard that is not closed. Reading goes on.",
        remedy: "DynamoDB itself does not answer so: look at the emulator or proxy that endpoint_url leads to.",
        samples: |snapshot| plain(snapshot, |status| status.counters.incomplete_answers),
    },
    Metric {
        name: "streamdex_projected_calls_per_hour",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "Calls to DynamoDB Streams in an hour, as things are now, by this worker; a standby makes none.",
        remedy: "freshness is what changes it.",
        samples: |snapshot| fraction(snapshot, |status| Some(status.projected_calls)),
    },
    Metric {
        name: "streamdex_prefetched_bytes",
        kind: Kind::Gauge,
        unit: Some(Unit::Bytes),
        labels: &["source"],
        help: "Records that were read and are not written yet; bounded.",
        remedy: "At its bound for long: OpenSearch is slower than the stream; see streamdex_bulk_request_duration_seconds.",
        samples: |snapshot| plain(snapshot, |status| status.prefetched),
    },
    Metric {
        name: "streamdex_delivery_retries_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "How often something failed on a shard and was tried again, requests to OpenSearch aside.",
        remedy: "Where it grows steadily, streamdex status shows the last error of each shard and what to do.",
        samples: |snapshot| plain(snapshot, |status| status.counters.retries),
    },
    Metric {
        name: "streamdex_source_paused",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "1 while something holds the whole source back, as the state table or the listing of shards, else 0.",
        remedy: "See streamdex status for the reason.",
        samples: |snapshot| plain(snapshot, |status| u64::from(status.paused.is_some())),
    },
    Metric {
        name: "streamdex_gaps",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source", "kind"],
        help: "Recorded gaps, by kind: changes that can no longer be read from the stream, or an index that is gone.",
        remedy: "Alarm on anything above 0: streamdex status names each with what to do.",
        samples: |snapshot| {
            let of_kind = |status: &Status, kind| status.gaps.iter().filter(|gap| gap.kind == kind).count();
            by_word(snapshot, GapKind::ALL, GapKind::name, |status, kind| count(of_kind(status, kind)))
        },
    },
    Metric {
        name: "streamdex_reader",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "1 while this worker has the lease and reads the table, 0 while it stands by, or where nothing but gaps is left.",
        remedy: "Its sum over all replicas is 1, but for some seconds when the reader changes; where it stays 0, streamdex status says who has the lease, or which gaps are left.",
        samples: |snapshot| plain(snapshot, |status| u64::from(status.role.is_reader())),
    },
    Metric {
        name: "streamdex_lease_changes_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source", "change"],
        help: "How often this worker has taken the lease, lost it to another worker, released it when it stopped, or given it up because a service did not answer.",
        remedy: "lost without a deployment: this worker did not get its heartbeat through in time; see streamdex_tenure_lapses_total. given_up: look whether this replica reaches DynamoDB Streams and OpenSearch.",
        samples: |snapshot| {
            by_word(snapshot, LeaseChange::ALL, LeaseChange::name, |status, change| {
                *status.counters.lease_changes.get(&change).unwrap_or(&0)
            })
        },
    },
    Metric {
        name: "streamdex_heartbeat_age_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &["source"],
        help: "How long ago the last confirmed heartbeat was begun. Missing while this worker stands by.",
        remedy: "From 4.5 s on the worker writes nothing, and from 6 s on another one may take its lease: look for throttling of the state table, and for a starved CPU.",
        samples: |snapshot| fraction(snapshot, |status| Some(status.heartbeat_age?.as_secs_f64())),
    },
    Metric {
        name: "streamdex_tenure_lapses_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "How often this worker stopped writing, because no heartbeat was confirmed in time.",
        remedy: "Nothing is lost by it; look at the state table's throttling and latency, and at the CPU that the container gets.",
        samples: |snapshot| plain(snapshot, |status| status.counters.tenure_lapses),
    },
    Metric {
        name: "streamdex_checkpoints_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Checkpoints stored.",
        remedy: "Where it stands still while records are applied, the state table cannot be written: see streamdex status.",
        samples: |snapshot| plain(snapshot, |status| status.counters.checkpoints),
    },
    Metric {
        name: "streamdex_creation_time_backwards_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Records whose creation time was before that of an earlier record of their shard; a later change of one item is written under the larger time, as long as one reader sees both.",
        remedy: "Alarm on any increase: where the reader changed in between, an older state of an item can stay; compare the index with the table, and report it.",
        samples: |snapshot| plain(snapshot, |status| status.counters.backwards),
    },
    Metric {
        name: "streamdex_watchdog_restarts_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Tasks of shards that made no progress though they had work, and were started again.",
        remedy: "Nothing is lost by it; where it grows again and again, report it with the log.",
        samples: |snapshot| plain(snapshot, |status| status.counters.watchdog_restarts),
    },
    Metric {
        name: "streamdex_task_restarts_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Tasks of shards that broke because of a defect, and were started again.",
        remedy: "Alarm on any increase, and report it with the log: the shard does not go on while its task breaks again and again.",
        samples: |snapshot| plain(snapshot, |status| status.counters.task_restarts),
    },
];

/// One number for each source.
/// One number for each source that has one.
fn by_source(snapshot: &Snapshot, number: impl Fn(&Status) -> Option<u64>) -> Vec<Sample> {
    let sample = |source: &SourceSnapshot| Some(Sample::number([&source.name], number(&source.status)?));
    snapshot.sources.iter().filter_map(sample).collect()
}

fn plain(snapshot: &Snapshot, number: impl Fn(&Status) -> u64) -> Vec<Sample> {
    snapshot.sources.iter().map(|source| Sample::number([&source.name], number(&source.status))).collect()
}

fn fraction(snapshot: &Snapshot, fraction: impl Fn(&Status) -> Option<f64>) -> Vec<Sample> {
    let sample = |source: &SourceSnapshot| Some(Sample::fraction([&source.name], fraction(&source.status)?));
    snapshot.sources.iter().filter_map(sample).collect()
}

/// One number for each source and word. All words are there from the beginning on, so that an increase is seen.
fn by_word<T: Copy, const N: usize>(
    snapshot: &Snapshot,
    words: [T; N],
    name: impl Fn(T) -> &'static str,
    number: impl Fn(&Status, T) -> u64,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    for source in &snapshot.sources {
        samples.extend(words.map(|word| Sample::number([&source.name, name(word)], number(&source.status, word))));
    }
    samples
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
