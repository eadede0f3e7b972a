//! What the state table tells of the workers on one table: for `streamdex status` without an address.

use serde::Serialize;

use super::report::GapReport;
use crate::follow::status::Summary;
use crate::graph::KnownProgress;
use crate::state::{Loaded, StoredShard, StoredWorker};

/// The workers, leases and gaps of a group on one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TableReport {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The label of the stream.
    pub stream: String,
    /// The group.
    pub group: String,
    /// How long ago the group began to follow the stream.
    pub begun_seconds_ago: Option<u64>,
    /// The workers that have not left.
    pub workers: Vec<WorkerReport>,
    /// The shards that are read, or can be.
    pub leases: Vec<LeaseReport>,
    /// Gaps.
    pub gaps: Vec<GapReport>,
    /// Items that cannot be read, by sort key.
    pub malformed: Vec<String>,
}

/// A worker, as its heartbeat shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WorkerReport {
    /// Its id.
    pub worker: String,
    /// The version of streamdex.
    pub version: String,
    /// How long ago it wrote its heartbeat, by its clock and ours.
    pub beat_seconds_ago: u64,
    /// For how long it has been running.
    pub up_seconds: u64,
    /// What it says of itself.
    pub summary: Option<Summary>,
}

/// A shard that is read, or can be.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LeaseReport {
    /// The shard.
    pub shard: String,
    /// `open`, `finished` (its children are looked for) or `gapped`.
    pub state: &'static str,
    /// The worker that has it; nobody, while it is free.
    pub owner: Option<String>,
    /// The last acknowledged sequence number.
    pub position: Option<String>,
    /// How long ago owner or position changed.
    pub updated_seconds_ago: u64,
}

// === impl ===

impl TableReport {
    /// Of what a refresh has read at `now`, in seconds since 1970. Whose it is is left to the caller.
    pub fn of(loaded: &Loaded, now: u64) -> TableReport {
        TableReport {
            begun_seconds_ago: loaded.start.as_ref().map(|start| now.saturating_sub(start.at)),
            workers: loaded.workers.iter().map(|worker| WorkerReport::of(worker, now)).collect(),
            leases: loaded.shards.iter().filter_map(|shard| LeaseReport::of(shard, now)).collect(),
            gaps: loaded.gaps.iter().map(GapReport::of).collect(),
            malformed: loaded.malformed.clone(),
            ..TableReport::default()
        }
    }
}

impl WorkerReport {
    fn of(worker: &StoredWorker, now: u64) -> WorkerReport {
        WorkerReport {
            worker: worker.id.to_string(),
            version: worker.version.clone(),
            beat_seconds_ago: now.saturating_sub(worker.at),
            up_seconds: now.saturating_sub(worker.started),
            summary: Summary::parse(&worker.summary),
        }
    }
}

impl LeaseReport {
    fn of(shard: &StoredShard, now: u64) -> Option<LeaseReport> {
        let (state, position) = match &shard.progress {
            KnownProgress::Begun(position) => ("open", position.as_ref().map(ToString::to_string)),
            KnownProgress::Finished => ("finished", None),
            KnownProgress::Gapped => ("gapped", None),
            KnownProgress::Done => return None,
        };
        Some(LeaseReport {
            shard: shard.id.to_string(),
            state,
            owner: shard.holder.owner.as_ref().map(ToString::to_string),
            position,
            updated_seconds_ago: now.saturating_sub(shard.updated),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use streamdex_dynamodb::stream::ShardId;
    use streamdex_mapping::SequenceNumber;

    use super::*;
    use crate::gap::{Gap, GapKind};
    use crate::lease::{Holder, WorkerId};
    use crate::state::StreamStart;

    #[test]
    fn what_is_done_is_left_out_and_clocks_may_differ() {
        let shard = |name: &str, progress, owner: Option<&str>| StoredShard {
            id: ShardId::new(name),
            parent: None,
            progress,
            generations: BTreeMap::new(),
            updated: 950,
            holder: Holder { owner: owner.map(WorkerId::new), fence: 1 },
        };
        let worker = StoredWorker {
            id: WorkerId::new("host-1-a"),
            beat: 9,
            started: 400,
            at: 1_003,
            version: "0.1.0".to_owned(),
            summary: r#"{"shards":2}"#.to_owned(),
        };
        let loaded = Loaded {
            start: Some(StreamStart { position: streamdex_config::StartPosition::Latest, at: 100, roots: Vec::new() }),
            shards: vec![
                shard("a", KnownProgress::Begun(SequenceNumber::parse("77").ok()), Some("host-1-a")),
                shard("b", KnownProgress::Begun(None), None),
                shard("c", KnownProgress::Done, None),
                shard("d", KnownProgress::Gapped, None),
            ],
            gaps: vec![Gap::new(GapKind::Trimmed, "d")],
            workers: vec![worker],
            ..Loaded::default()
        };
        let report = TableReport::of(&loaded, 1_000);
        assert_eq!(report.begun_seconds_ago, Some(900));
        let leases: Vec<_> = report
            .leases
            .iter()
            .map(|lease| (lease.state, lease.owner.as_deref(), lease.position.as_deref()))
            .collect();
        assert_eq!(leases, [("open", Some("host-1-a"), Some("77")), ("open", None, None), ("gapped", None, None)]);
        let [worker] = report.workers.as_slice() else { panic!("{report:?}") };
        assert_eq!(
            (worker.beat_seconds_ago, worker.up_seconds, worker.summary.as_ref().map(|summary| summary.shards)),
            (0, 600, Some(2))
        );
        assert_eq!((report.gaps[0].kind.as_str(), report.leases[0].updated_seconds_ago), ("trimmed", 50));
    }
}
