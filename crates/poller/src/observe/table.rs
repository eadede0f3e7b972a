//! The reader and the shards of one table, from the state table: for `streamdex status` without an address.

use std::time::Duration;

use serde::Serialize;

use super::report::GapReport;
use crate::graph::ShardProgress;
use crate::state::{Loaded, StoredLease, StoredShard};
use crate::status::{BackfillReport, Fill, Summary};

/// The lease, the shards and the gaps of a group on one table.
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
    /// The lease, where it was ever taken.
    pub lease: Option<LeaseReport>,
    /// `partial` while the index may lack what the table held before its stream was followed, then `complete`.
    pub phase: Option<&'static str>,
    /// The backfill that is not complete.
    pub backfill: Option<BackfillReport>,
    /// Items that became dead letters when the index was filled, as long ago as that may be.
    pub backfill_dead_lettered: Option<u64>,
    /// The shards that are read, or can be.
    pub shards: Vec<ShardItemReport>,
    /// Gaps.
    pub gaps: Vec<GapReport>,
    /// Items that cannot be read, by sort key.
    pub malformed: Vec<String>,
}

/// The lease of a table, as the last heartbeat shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LeaseReport {
    /// Who reads the table; nobody, while it is free.
    pub reader: Option<String>,
    /// Grows with each reader.
    pub term: u64,
    /// How long ago the last beat was written.
    pub beat_seconds_ago: u64,
    /// How long ago the term began.
    pub since_seconds_ago: u64,
    /// The version of streamdex.
    pub version: String,
    /// Terms in a row that led to nothing, the present one included until it does.
    pub fruitless_terms: u32,
    /// What the reader says of itself.
    pub summary: Option<Summary>,
}

/// A shard that is read, or can be.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ShardItemReport {
    /// The shard.
    pub shard: String,
    /// `open`, `drained` (its children are looked for) or `gapped`.
    pub state: &'static str,
    /// The last acknowledged sequence number.
    pub position: Option<String>,
    /// How long ago that was stored.
    pub updated_seconds_ago: u64,
}

// === impl ===

impl TableReport {
    /// Builds the report from the state that was read at `now`, in seconds since 1970. The caller fills in whose it is.
    pub fn of(loaded: &Loaded, now: u64) -> TableReport {
        let fill = Fill::from(loaded.backfill.clone());
        // A table that nobody has begun to follow has no phase yet, unless somebody fills it.
        let is_begun = loaded.start.is_some() || loaded.backfill.is_some();
        TableReport {
            phase: fill.phase().filter(|_| is_begun),
            backfill: fill.report(),
            backfill_dead_lettered: fill.dead_lettered(),
            begun_seconds_ago: loaded.start.as_ref().map(|start| now.saturating_sub(start.at)),
            lease: loaded.lease.as_ref().map(|lease| LeaseReport::of(lease, now)),
            shards: loaded.shards.iter().filter_map(|shard| ShardItemReport::of(shard, now)).collect(),
            gaps: loaded.all_gaps().map(GapReport::of).collect(),
            malformed: loaded.malformed.clone(),
            ..TableReport::default()
        }
    }
}

/// A reader beats every 1.5 s, and a standby takes over within 8 s; clocks may differ by some.
const SILENT_SECONDS: u64 = 15;

impl LeaseReport {
    /// Whether the last beat is so long ago that the reader is gone.
    pub fn is_silent(&self) -> bool {
        self.beat_seconds_ago > SILENT_SECONDS
    }

    /// Who reads now: nobody, where the reader is gone.
    pub fn live_reader(&self) -> Option<&str> {
        self.reader.as_deref().filter(|_| !self.is_silent())
    }

    /// The lag of the current reader; `None` if it has not reported one yet, or nobody reads.
    pub fn lag(&self) -> Option<Duration> {
        self.live_reader()?;
        let lag = self.summary.as_ref()?.lag_seconds?;
        Some(Duration::try_from_secs_f64(lag).ok()? + Duration::from_secs(self.beat_seconds_ago))
    }

    /// As it is at this second.
    pub(crate) fn of(lease: &StoredLease, now: u64) -> LeaseReport {
        LeaseReport {
            reader: lease.owner.as_ref().map(ToString::to_string),
            term: lease.term,
            beat_seconds_ago: now.saturating_sub(lease.at),
            since_seconds_ago: now.saturating_sub(lease.since),
            version: lease.version.clone(),
            fruitless_terms: lease.fruitless,
            summary: Summary::parse(&lease.summary),
        }
    }
}

impl ShardItemReport {
    fn of(shard: &StoredShard, now: u64) -> Option<ShardItemReport> {
        let (state, position) = match &shard.progress {
            ShardProgress::Open(position) => ("open", position.as_ref().map(ToString::to_string)),
            ShardProgress::Drained => ("drained", None),
            ShardProgress::Gapped => ("gapped", None),
            ShardProgress::Done => return None,
        };
        let updated_seconds_ago = now.saturating_sub(shard.updated);
        Some(ShardItemReport { shard: shard.id.to_string(), state, position, updated_seconds_ago })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use streamdex_dynamodb::stream::ShardId;
    use streamdex_mapping::SequenceNumber;

    use super::*;
    use crate::gap::{Gap, GapKind};
    use crate::lease::WorkerId;
    use crate::state::{StoredGap, StreamStart};

    #[test]
    fn what_is_done_is_left_out_and_clocks_may_differ() {
        let shard = |name: &str, progress| StoredShard {
            id: ShardId::new(name),
            parent: None,
            progress,
            generations: BTreeMap::new(),
            updated: 950,
            born: 900,
            created: None,
            term: None,
            resumes: false,
        };
        let lease = StoredLease {
            owner: Some(WorkerId::new("host-1-a")),
            term: 4,
            at: 1_003,
            since: 400,
            summary: r#"{"shards":2}"#.to_owned(),
            ..StoredLease::default()
        };
        let loaded = Loaded {
            start: Some(StreamStart {
                position: streamdex_config::StartPosition::Latest,
                at: 100,
                roots: Vec::new(),
                resumes: false,
            }),
            shards: vec![
                shard("a", ShardProgress::Open(SequenceNumber::parse("77").ok())),
                shard("b", ShardProgress::Open(None)),
                shard("c", ShardProgress::Done),
                shard("d", ShardProgress::Gapped),
                shard("e", ShardProgress::Drained),
            ],
            gaps: vec![Gap::new(GapKind::Trimmed, "d")],
            earlier_gaps: vec![StoredGap { label: "L0".into(), gap: Gap::new(GapKind::StreamReplaced, "L0") }],
            lease: Some(lease),
            ..Loaded::default()
        };
        let report = TableReport::of(&loaded, 1_000);
        assert_eq!(report.begun_seconds_ago, Some(900));
        let shards: Vec<_> = report.shards.iter().map(|shard| (shard.state, shard.position.as_deref())).collect();
        assert_eq!(shards, [("open", Some("77")), ("open", None), ("gapped", None), ("drained", None)]);
        let lease = report.lease.unwrap();
        assert_eq!((lease.reader.as_deref(), lease.term), (Some("host-1-a"), 4));
        assert_eq!((lease.beat_seconds_ago, lease.since_seconds_ago), (0, 600));
        assert_eq!(lease.summary.map(|summary| summary.shards), Some(2));
        let gaps: Vec<&str> = report.gaps.iter().map(|gap| gap.kind.as_str()).collect();
        assert_eq!((gaps, report.shards[0].updated_seconds_ago), (vec!["trimmed", "stream_replaced"], 50));
    }
}
