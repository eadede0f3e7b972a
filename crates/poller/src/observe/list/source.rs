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
        help: "How long ago the index last showed everything of a shard, taken from the shard that is furthest behind: about the age of the oldest change that is not in the index yet. It grows while reading or writing fails. It is 0 only if the end of every shard was seen and every write was acknowledged. A standby does not report it.",
        remedy: "If it grows, streamdex_shards, streamdex_paused and streamdex_get_records_total show whether reading or writing fails. After 24 hours records are lost. Set an alarm for a missing lag too: then nobody reads.",
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
        help: "The lag of each shard that this worker reads. A shard that is stopped by a gap has none.",
        remedy: "If only one shard is far behind, it has a hot key, or something else reads it too.",
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
        help: "Number of shards by phase: waiting, reading, paused, searching_children (read to the end; streamdex status without --url calls it drained), or gapped (changes are missing, so the shard and its children are not read).",
        remedy: "paused: streamdex status has the reason. gapped: see streamdex_gaps. searching_children for long: the table's stream was switched off.",
        samples: |snapshot| by_word(snapshot, Phase::ALL, Phase::name, |status, phase| count(status.in_phase(phase))),
    },
    Metric {
        name: "streamdex_records_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source", "outcome"],
        help: "Records that have an outcome, by outcome.",
        remedy: "Its rate is the throughput. If many are superseded, those records were read before, for example after a restart without a checkpoint.",
        samples: |snapshot| by_word(snapshot, Outcome::ALL, Outcome::name, |status, outcome| status.tally.get(outcome)),
    },
    Metric {
        name: "streamdex_dead_letters_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Records that became dead letters. It equals the outcome dead_lettered, and exists for alarms.",
        remedy: "Set an alarm for any increase. streamdex dlq list shows the letters and the reasons.",
        samples: |snapshot| plain(snapshot, |status| status.tally.dead_lettered),
    },
    Metric {
        name: "streamdex_records_in_flight",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "Records that were read and have no outcome yet. No checkpoint passes them.",
        remedy: "If it does not fall, writing is paused: see streamdex_paused.",
        samples: |snapshot| plain(snapshot, |status| status.undecided),
    },
    Metric {
        name: "streamdex_records_before_start_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Records that were skipped because they are older than the start. Only with start = latest.",
        remedy: "Nothing. It stops growing when reading reaches the start.",
        samples: |snapshot| plain(snapshot, |status| status.before_start),
    },
    Metric {
        name: "streamdex_backfill_complete",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "1 if the index holds what the table held before its stream was followed, 0 while that may be missing (phase = partial). Only the reader of the table reports it.",
        remedy: "If it stays 0, streamdex status says whether somebody fills the index. If nobody does, run streamdex backfill.",
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
        help: "Items that the running backfill has written. Missing if no backfill runs.",
        remedy: "If it does not grow, look at streamdex_paused, and in the log for the reason.",
        samples: |snapshot| by_source(snapshot, |status| status.fill.report().map(|report| report.items)),
    },
    Metric {
        name: "streamdex_backfill_expected_items",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "About how many items the table of the running backfill has. DynamoDB updates this count every six hours or so.",
        remedy: "Compare it with streamdex_backfill_items.",
        samples: |snapshot| by_source(snapshot, |status| status.fill.report().map(|report| report.expected)),
    },
    Metric {
        name: "streamdex_get_records_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source", "result"],
        help: "Calls of GetRecords, by result: with records, empty, throttled, expired (the iterator was too old) or failed.",
        remedy: "Many empty: raise freshness to save calls. throttled for long: something else reads the same shards. A stream serves two readers, and the stream of a global table serves one.",
        samples: |snapshot| {
            by_word(snapshot, Call::ALL, Call::name, |status, call| *status.counters.calls.get(&call).unwrap_or(&0))
        },
    },
    Metric {
        name: "streamdex_incomplete_answers_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Incomplete answers of GetRecords with status 200: they have no list of records, or no next iterator although the shard is open. Reading continues.",
        remedy: "DynamoDB itself does not send such answers. Look at the emulator or proxy behind endpoint_url.",
        samples: |snapshot| plain(snapshot, |status| status.counters.incomplete_answers),
    },
    Metric {
        name: "streamdex_projected_calls_per_hour",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "Calls to DynamoDB Streams that this worker will make in an hour at the current rate. A standby makes none.",
        remedy: "Raise freshness to lower it.",
        samples: |snapshot| fraction(snapshot, |status| Some(status.projected_calls)),
    },
    Metric {
        name: "streamdex_prefetched_bytes",
        kind: Kind::Gauge,
        unit: Some(Unit::Bytes),
        labels: &["source"],
        help: "Size of the records that were read and are not written yet. It has a limit.",
        remedy: "At its limit for long: OpenSearch is slower than the stream. See streamdex_bulk_request_duration_seconds.",
        samples: |snapshot| plain(snapshot, |status| status.prefetched),
    },
    Metric {
        name: "streamdex_delivery_retries_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "How often something failed on a shard and was tried again. Requests to OpenSearch are not counted here.",
        remedy: "If it keeps growing, streamdex status shows the last error of each shard and what to do.",
        samples: |snapshot| plain(snapshot, |status| status.counters.retries),
    },
    Metric {
        name: "streamdex_source_paused",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source"],
        help: "1 while the whole source is paused, for example by the state table or the listing of shards, otherwise 0.",
        remedy: "streamdex status has the reason.",
        samples: |snapshot| plain(snapshot, |status| u64::from(status.paused.is_some())),
    },
    Metric {
        name: "streamdex_gaps",
        kind: Kind::Gauge,
        unit: None,
        labels: &["source", "kind"],
        help: "Open gaps, by kind: changes that can no longer be read from the stream, or an index that is gone.",
        remedy: "Set an alarm for any value above 0. streamdex status names each gap and what to do.",
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
        help: "1 while this worker has the lease and reads the table. 0 while it is a standby, or if every shard is stopped by a gap.",
        remedy: "The sum over all replicas is 1, except for some seconds when the reader changes. If it stays 0, streamdex status says who has the lease, or which gaps stop the shards.",
        samples: |snapshot| plain(snapshot, |status| u64::from(status.role.is_reader())),
    },
    Metric {
        name: "streamdex_lease_changes_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source", "change"],
        help: "How often this worker took the lease, lost it to another worker, released it when it stopped, or gave it up because a service did not answer.",
        remedy: "lost without a deployment: the heartbeat of this worker was not confirmed in time. See streamdex_tenure_lapses_total. given_up: check whether this replica reaches DynamoDB Streams and OpenSearch.",
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
        help: "Time since the last confirmed heartbeat began. Missing while this worker is a standby.",
        remedy: "From 4.5 s on, the worker writes nothing. From 6 s on, another worker may take its lease. Look for throttling of the state table, and for too little CPU.",
        samples: |snapshot| fraction(snapshot, |status| Some(status.heartbeat_age?.as_secs_f64())),
    },
    Metric {
        name: "streamdex_tenure_lapses_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "How often this worker stopped writing because no heartbeat was confirmed in time.",
        remedy: "Nothing is lost. Look at throttling and latency of the state table, and at the CPU of the container.",
        samples: |snapshot| plain(snapshot, |status| status.counters.tenure_lapses),
    },
    Metric {
        name: "streamdex_checkpoints_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Checkpoints stored.",
        remedy: "If it does not grow while records are applied, the state table cannot be written. streamdex status has the error.",
        samples: |snapshot| plain(snapshot, |status| status.counters.checkpoints),
    },
    Metric {
        name: "streamdex_creation_time_backwards_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "Records with an earlier creation time than a record before them in the same shard. If both are of the same item, the later change is written with the larger time, as long as the same reader sees both.",
        remedy: "Set an alarm for any increase. If the reader changed in between, an older state of an item can stay in the index. Compare the index with the table, and report it.",
        samples: |snapshot| plain(snapshot, |status| status.counters.backwards),
    },
    Metric {
        name: "streamdex_watchdog_restarts_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "How often the watchdog restarted the task of a shard that had work and made no progress.",
        remedy: "Nothing is lost. If it grows again and again, report it with the log.",
        samples: |snapshot| plain(snapshot, |status| status.counters.watchdog_restarts),
    },
    Metric {
        name: "streamdex_task_restarts_total",
        kind: Kind::Counter,
        unit: None,
        labels: &["source"],
        help: "How often the task of a shard crashed because of a defect and was restarted.",
        remedy: "Set an alarm for any increase, and report it with the log. The shard makes no progress while its task crashes again and again.",
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
