//! `/status`: a snapshot as JSON. `streamdex status` reads it back, also that of another version.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamdex_mapping::{Outcome, Tally};
use streamdex_sink::Pause;

use super::anonymous::anonymous;
use super::history::{History, thousandths};
use super::snapshot::{Snapshot, SourceSnapshot, WriterSnapshot};
use crate::gap::Gap;
use crate::status::{BackfillReport, Call, LeaseChange, ShardStatus};

/// What a process shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The version of streamdex.
    pub version: String,
    /// How long the process has been running.
    pub uptime_seconds: u64,
    /// What `/livez` says.
    pub live: bool,
    /// What `/readyz` says.
    pub ready: bool,
    /// Why it does not.
    pub reasons: Vec<String>,
    /// Writing to OpenSearch.
    pub writer: WriterReport,
    /// The sources.
    pub sources: Vec<SourceReport>,
}

/// Writing to OpenSearch, counted from the start of the process on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WriterReport {
    /// Requests in flight now.
    pub requests_in_flight: u64,
    /// Requests that may be in flight now.
    pub requests_limit: u64,
    /// Operations that wait to be sent.
    pub waiting_operations: u64,
    /// Requests that are over.
    pub requests: u64,
    /// Bytes of their bodies before compression.
    pub bytes: u64,
    /// Operations with a final decision.
    pub decided: u64,
    /// Operations that were sent again or given back to be read again.
    pub retried: u64,
    /// Answers that the server has too much to do.
    pub overloaded: u64,
    /// What is held back.
    pub pauses: Vec<PauseReport>,
    /// The last error.
    pub last_error: Option<String>,
}

/// Something that is held back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseReport {
    /// What.
    pub scope: String,
    /// The name of the reason.
    pub reason: String,
    /// Why.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// For how long.
    pub seconds: u64,
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// The table.
    pub table: String,
    /// The label of the stream.
    pub stream: String,
    /// This worker.
    pub worker: String,
    /// Who reads the table, as far as this worker knows: where that is another one, this one stands by.
    pub reader: Option<String>,
    /// The term in which this worker reads.
    pub term: Option<u64>,
    /// How long ago the last confirmed beat was begun.
    pub heartbeat_age_seconds: Option<f64>,
    /// The lag of the shard that is furthest behind.
    pub lag_seconds: Option<f64>,
    /// The achieved polling interval, if it clearly misses `freshness`.
    pub missed_freshness_seconds: Option<f64>,
    /// Records decided per second.
    pub rate: f64,
    /// Records decided.
    pub records: u64,
    /// What became of them.
    pub outcomes: BTreeMap<String, u64>,
    /// Records without an outcome.
    pub undecided: u64,
    /// Records from before the start, passed over.
    pub before_start: u64,
    /// Calls to DynamoDB Streams in an hour, as things are now.
    pub projected_calls_per_hour: f64,
    /// Bytes of records that were read and are not written yet.
    pub prefetched_bytes: u64,
    /// What holds the whole source back.
    pub paused: Option<String>,
    /// `partial` while the index may lack what the table held before its stream was followed, then `complete`; a standby
    /// does not know.
    pub phase: Option<String>,
    /// The backfill that is not complete.
    pub backfill: Option<BackfillReport>,
    /// Items that became dead letters when the index was filled, as long ago as that may be.
    pub backfill_dead_lettered: Option<u64>,
    /// Gaps.
    pub gaps: Vec<GapReport>,
    /// Other things that are counted, by name.
    pub counters: BTreeMap<String, u64>,
    /// The shards that this worker reads.
    pub shards: Vec<ShardReport>,
    /// How lag and rate went in the last hour.
    #[serde(skip_serializing_if = "History::is_empty")]
    pub history: History,
}

/// Changes that can no longer be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GapReport {
    /// The kind.
    pub kind: String,
    /// A shard, an index or a stream.
    pub subject: String,
    /// The last acknowledged sequence number.
    pub position: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// One shard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShardReport {
    /// Its id.
    pub shard: String,
    /// The shard that it came from, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What is going on with it.
    pub phase: String,
    /// How old the index is with regard to it.
    pub lag_seconds: Option<f64>,
    /// Records decided per second.
    pub rate: f64,
    /// Records without an outcome.
    pub in_flight: u64,
    /// How often something failed and was tried again.
    pub retries: u64,
    /// What became of its records; outcomes that none had are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, u64>,
    /// What holds it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// What failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ErrorReport>,
}

/// Something that failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorReport {
    /// What.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// How long ago.
    pub seconds_ago: u64,
}

// === impl ===

impl Report {
    /// Of this snapshot, without accounts and principals: everyone who reaches the port may read it.
    pub fn of(snapshot: &Snapshot) -> Report {
        let reasons = snapshot.unready();
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: snapshot.uptime.as_secs(),
            live: snapshot.dead().is_empty(),
            ready: reasons.is_empty(),
            reasons,
            writer: WriterReport::of(&snapshot.writer),
            sources: snapshot.sources.iter().map(SourceReport::of).collect(),
        };
        report.cut();
        report
    }

    /// Takes accounts and principals out.
    pub(super) fn cut(&mut self) {
        self.texts().for_each(|text| *text = anonymous(text).into_owned());
    }

    /// What can hold the words of another service.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let of_writer = self.writer.pauses.iter_mut().flat_map(|pause| [&mut pause.scope, &mut pause.message]);
        let of_sources = self.sources.iter_mut().flat_map(SourceReport::texts);
        self.reasons.iter_mut().chain(of_writer).chain(&mut self.writer.last_error).chain(of_sources)
    }
}

impl WriterReport {
    fn of(snapshot: &WriterSnapshot) -> WriterReport {
        let stats = &snapshot.stats;
        WriterReport {
            requests_in_flight: stats.in_flight,
            requests_limit: stats.limit,
            waiting_operations: stats.waiting,
            requests: stats.requests,
            bytes: stats.bytes,
            decided: stats.decided,
            retried: stats.retried,
            overloaded: stats.overloaded,
            pauses: snapshot.pauses.iter().map(PauseReport::of).collect(),
            last_error: stats.last_error.clone(),
        }
    }
}

impl PauseReport {
    fn of(pause: &Pause) -> PauseReport {
        PauseReport {
            scope: pause.scope.to_string(),
            reason: pause.reason.name().to_owned(),
            message: pause.to_string(),
            hint: pause.hint().to_owned(),
            seconds: pause.since.elapsed().as_secs(),
        }
    }
}

impl SourceReport {
    fn of(snapshot: &SourceSnapshot) -> SourceReport {
        let status = &snapshot.status;
        SourceReport {
            name: snapshot.name.clone(),
            table: status.following.table.clone(),
            stream: status.following.stream.clone(),
            worker: status.role.worker.clone(),
            reader: status.role.reader.clone(),
            term: status.role.term,
            heartbeat_age_seconds: status.heartbeat_age.map(seconds),
            lag_seconds: status.lag().map(seconds),
            missed_freshness_seconds: status.missed_freshness().map(seconds),
            rate: thousandths(status.rate),
            records: status.tally.records(),
            outcomes: outcomes(&status.tally).collect(),
            undecided: status.undecided,
            before_start: status.before_start,
            projected_calls_per_hour: status.projected_calls.round(),
            prefetched_bytes: status.prefetched,
            paused: status.paused.clone(),
            phase: status.fill.phase().map(str::to_owned),
            backfill: status.fill.report(),
            backfill_dead_lettered: status.fill.dead_lettered(),
            gaps: status.gaps.iter().map(GapReport::of).collect(),
            counters: counters(snapshot),
            shards: status.shards.iter().map(ShardReport::of).collect(),
            history: snapshot.history.clone(),
        }
    }
}

impl SourceReport {
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let of_gaps = self.gaps.iter_mut().flat_map(|gap| [&mut gap.subject, &mut gap.message]);
        self.paused.iter_mut().chain(of_gaps).chain(self.shards.iter_mut().flat_map(ShardReport::texts))
    }
}

impl GapReport {
    /// Of this gap.
    pub fn of(gap: &Gap) -> GapReport {
        GapReport {
            kind: gap.kind.name().to_owned(),
            subject: gap.subject.clone(),
            position: gap.position.clone(),
            message: gap.to_string(),
            hint: gap.kind.hint().to_owned(),
        }
    }
}

impl ShardReport {
    fn of(shard: &ShardStatus) -> ShardReport {
        ShardReport {
            shard: shard.shard.to_string(),
            parent: shard.parent.as_ref().map(ToString::to_string),
            phase: shard.phase.name().to_owned(),
            lag_seconds: shard.lag.map(seconds),
            rate: thousandths(shard.rate),
            in_flight: shard.in_flight,
            retries: shard.retries,
            outcomes: outcomes(&shard.tally).filter(|(_, records)| *records > 0).collect(),
            paused: shard.paused.clone(),
            last_error: shard.last_error.as_ref().map(|error| ErrorReport {
                message: error.message.clone(),
                hint: error.hint.clone(),
                seconds_ago: error.ago.as_secs(),
            }),
        }
    }
}

impl ShardReport {
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let of_error = self.last_error.iter_mut().flat_map(|error| [&mut error.message, &mut error.hint]);
        self.paused.iter_mut().chain(of_error)
    }
}

fn outcomes(tally: &Tally) -> impl Iterator<Item = (String, u64)> + use<'_> {
    Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), tally.get(outcome)))
}

fn counters(snapshot: &SourceSnapshot) -> BTreeMap<String, u64> {
    let counters = &snapshot.status.counters;
    let calls = Call::ALL.map(|call| (format!("calls_{}", call.name()), counters.calls.get(&call)));
    let leases =
        LeaseChange::ALL.map(|change| (format!("lease_{}", change.name()), counters.lease_changes.get(&change)));
    let named = calls.into_iter().chain(leases).map(|(name, count)| (name, count.copied().unwrap_or_default()));
    let plain = [
        ("retries", counters.retries),
        ("checkpoints", counters.checkpoints),
        ("tenure_lapses", counters.tenure_lapses),
        ("creation_time_backwards", counters.backwards),
        ("incomplete_answers", counters.incomplete_answers),
        ("watchdog_restarts", counters.watchdog_restarts),
        ("task_restarts", counters.task_restarts),
    ];
    named.chain(plain.map(|(name, count)| (name.to_owned(), count))).collect()
}

/// Seconds to the millisecond.
fn seconds(duration: Duration) -> f64 {
    thousandths(duration.as_secs_f64())
}
