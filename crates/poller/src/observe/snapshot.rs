//! A snapshot of everything at one moment, and the probes that follow from it. Pure.

use std::time::Duration;

use streamdex_sink::writer::WriterStats;
use streamdex_sink::{Pause, Scope};

use super::history::History;
use crate::lease::TENURE;
use crate::status::{Fill, Status, partial};

/// What a process shows at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// How long the process has been running.
    pub uptime: Duration,
    /// The sources, by name.
    pub sources: Vec<SourceSnapshot>,
    /// The writer of all sources.
    pub writer: WriterSnapshot,
    /// Whether OpenSearch answers.
    pub opensearch: Reach,
}

/// One source.
#[derive(Debug, Clone)]
pub struct SourceSnapshot {
    /// Its name.
    pub name: String,
    /// Its board.
    pub status: Status,
    /// How it went in the last hour.
    pub history: History,
}

/// The writer.
#[derive(Debug, Clone, Default)]
pub struct WriterSnapshot {
    /// What it counts.
    pub stats: WriterStats,
    /// What it holds back.
    pub pauses: Vec<Pause>,
    /// Its task has panicked: nothing is written any more.
    pub is_broken: bool,
}

/// Whether OpenSearch answers.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// How long ago it last did.
    pub answered: Option<Duration>,
    /// Why it did not at the last attempt.
    pub unreachable: Option<String>,
}

/// A supervisor's loop waits for nothing longer than some seconds.
const STANDS_STILL: Duration = Duration::from_secs(60);
/// A standby looks at the lease more often than once a second.
const READ_OVERDUE: Duration = Duration::from_secs(10);
/// Shards are asked for records at least once in the freshness, and calls have shorter deadlines.
const STREAM_OVERDUE: Duration = Duration::from_secs(5);
/// Three attempts of `watch_opensearch`.
const ANSWER_OVERDUE: Duration = Duration::from_secs(15);

// === impl Snapshot ===

impl Snapshot {
    /// Why the process is to be started again; empty while it lives. A process that has not begun to follow waits
    /// for something outside, which a restart does not repair.
    pub fn dead(&self) -> Vec<String> {
        let stands_still = |source: &SourceSnapshot| {
            let turned = source.status.turned.filter(|turned| *turned > STANDS_STILL)?;
            Some(format!("source {}: the supervisor has stood still for {} s", source.name, turned.as_secs()))
        };
        let broken = self.writer.is_broken.then(|| "the bulk writer failed: writing has stopped".to_owned());
        self.sources.iter().filter_map(stands_still).chain(broken).collect()
    }

    /// Why the process does not do its work (yet); empty where it does.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = self.dead();
        if self.sources.is_empty() {
            reasons.push("starting: nothing is followed yet".to_owned());
        }
        reasons.extend(self.sources.iter().filter_map(without_state));
        reasons.extend(self.sources.iter().filter_map(without_stream));
        reasons.extend(self.sources.iter().filter_map(given_up));
        reasons.extend(self.opensearch.silence());
        let pauses = self.writer.pauses.iter();
        let whole = pauses.filter(|pause| matches!(pause.scope, Scope::Cluster | Scope::Credentials));
        reasons.extend(whole.map(|pause| format!("writing is paused: {}: {}", pause.scope, pause.reason)));
        reasons
    }

    /// Notes on a process that works.
    pub fn notes(&self) -> Vec<String> {
        self.sources.iter().filter_map(incomplete).collect()
    }
}

/// What is not as it should be, and no reason to send no work here.
fn incomplete(source: &SourceSnapshot) -> Option<String> {
    let Status { fill, .. } = &source.status;
    let is_partial = matches!(fill, Fill::Partial(_));
    is_partial.then(|| format!("source {}: {}", source.name, partial(fill.report().as_ref())))
}

/// A reader needs a confirmed beat, a standby a look at the lease.
fn without_state(source: &SourceSnapshot) -> Option<String> {
    let Status { role, heartbeat_age, lease_seen, is_over, .. } = &source.status;
    if *is_over {
        return Some(format!(
            "source {}: this process does not follow it: only gaps are left, or it was stopped",
            source.name
        ));
    }
    let (what, age, longest) = match role.is_reader() {
        true => ("heartbeat was confirmed", heartbeat_age, TENURE),
        false => ("look at the lease was answered", lease_seen, READ_OVERDUE),
    };
    match age {
        None => Some(format!("source {}: no {what} yet", source.name)),
        Some(age) if *age >= longest => Some(format!(
            "source {}: the last {what} {:.1} s ago; is the state table reachable?",
            source.name,
            age.as_secs_f64()
        )),
        Some(_) => None,
    }
}

/// A standby asks DynamoDB Streams for nothing.
fn without_stream(source: &SourceSnapshot) -> Option<String> {
    let silence = Some(source.status.stream_silence).filter(|silence| *silence >= STREAM_OVERDUE)?;
    Some(format!("source {}: DynamoDB Streams has not answered for {} s", source.name, silence.as_secs()))
}

fn given_up(source: &SourceSnapshot) -> Option<String> {
    let why = source.status.given_up?;
    Some(format!("source {}: this worker gave up the lease and lets other workers try first: {why}", source.name))
}

impl Reach {
    fn silence(&self) -> Option<String> {
        let because = self.unreachable.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        match self.answered {
            None => Some(format!("OpenSearch has not answered yet{because}")),
            Some(ago) if ago >= ANSWER_OVERDUE => {
                Some(format!("OpenSearch last answered {} s ago{because}", ago.as_secs()))
            }
            Some(_) => None,
        }
    }
}
