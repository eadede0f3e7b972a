//! Sample reports of workers.

use std::collections::BTreeMap;

use streamdex_poller::observe::{
    ErrorReport, GapReport, LeaseReport, PauseReport, Report, ShardItemReport, ShardReport, SourceReport, TableReport,
    WriterReport,
};
use streamdex_poller::status::{BackfillReport, Summary};

/// A worker to which everything has happened.
pub(super) fn in_trouble() -> Report {
    let pause = PauseReport {
        scope: "index sessions".to_owned(),
        reason: "disk_full".to_owned(),
        message: "index sessions: the disk is full".to_owned(),
        hint: "free some".to_owned(),
        seconds: 130,
    };
    Report {
        version: "0.1.0".to_owned(),
        uptime_seconds: 11_000,
        live: true,
        ready: false,
        reasons: vec!["OpenSearch last answered 50 s ago: connection refused".to_owned()],
        writer: WriterReport {
            requests: 123,
            requests_in_flight: 2,
            requests_limit: 8,
            retried: 17,
            pauses: vec![pause],
            ..WriterReport::default()
        },
        sources: vec![source()],
    }
}

/// A worker that has not met anything yet.
pub(super) fn just_begun() -> Report {
    Report {
        version: "0.1.0".to_owned(),
        live: true,
        reasons: vec!["starting: nothing is followed yet".to_owned()],
        sources: vec![SourceReport {
            name: "sessions".to_owned(),
            table: "sessions".to_owned(),
            ..SourceReport::default()
        }],
        ..Report::default()
    }
}

fn source() -> SourceReport {
    let gap = GapReport {
        kind: "trimmed".to_owned(),
        subject: "shardId-gapped".to_owned(),
        message: "shardId-gapped: records were trimmed before they were read".to_owned(),
        hint: "set state.group to a new name".to_owned(),
        ..GapReport::default()
    };
    let shard = |name: &str, phase: &str, lag_seconds| ShardReport {
        shard: format!("shardId-{name}"),
        phase: phase.to_owned(),
        lag_seconds,
        ..ShardReport::default()
    };
    let error = ErrorReport {
        message: "no answer within 60 s".to_owned(),
        hint: "look at the cluster".to_owned(),
        seconds_ago: 4,
    };
    let paused = ShardReport {
        in_flight: 12,
        retries: 3,
        paused: Some("the disk is full".to_owned()),
        last_error: Some(error),
        ..shard("paused", "paused", Some(75.4))
    };
    SourceReport {
        name: "sessions".to_owned(),
        table: "sessions".to_owned(),
        stream: "2026-11-22T00:00:00.000".to_owned(),
        worker: "host-1-a".to_owned(),
        reader: Some("host-1-a".to_owned()),
        term: Some(3),
        heartbeat_age_seconds: Some(0.4),
        lag_seconds: Some(75.4),
        rate: 12.345,
        records: 1_500,
        outcomes: BTreeMap::from([
            ("applied".to_owned(), 1_499),
            ("dead_lettered".to_owned(), 1),
            ("absent".to_owned(), 0),
        ]),
        undecided: 12,
        projected_calls_per_hour: 10_800.0,
        paused: Some("the shards cannot be listed".to_owned()),
        gaps: vec![gap],
        shards: vec![
            ShardReport { rate: 12.3, ..shard("reading", "reading", Some(0.0)) },
            paused,
            shard("gapped", "gapped", None),
        ],
        ..SourceReport::default()
    }
}

/// A worker that stands by.
pub(super) fn standing_by() -> Report {
    let source = SourceReport {
        name: "sessions".to_owned(),
        table: "sessions".to_owned(),
        worker: "host-2-b".to_owned(),
        reader: Some("host-1-a".to_owned()),
        ..SourceReport::default()
    };
    Report { ready: true, reasons: Vec::new(), sources: vec![source], ..just_begun() }
}

/// A group whose reader is silent.
pub(super) fn group() -> TableReport {
    let summary = Summary {
        lag_seconds: Some(75.4),
        shards: 2,
        rate: 12.3,
        dead_lettered: 1,
        undecided: 12,
        calls_per_hour: 7_200.0,
        pause: Some("index sessions: the disk is full".to_owned()),
        ..Summary::default()
    };
    let shard = |shard: &str, state| ShardItemReport {
        shard: format!("shardId-{shard}"),
        state,
        position: (state == "open").then(|| "4421".to_owned()),
        updated_seconds_ago: 30,
    };
    let lease = LeaseReport {
        reader: Some("host-1-a".to_owned()),
        term: 4,
        beat_seconds_ago: 70,
        since_seconds_ago: 90_000,
        version: "0.1.0".to_owned(),
        fruitless_terms: 2,
        summary: Some(summary),
    };
    TableReport {
        source: "sessions".to_owned(),
        table: "sessions".to_owned(),
        stream: "2026-11-22T00:00:00.000".to_owned(),
        group: "default".to_owned(),
        begun_seconds_ago: Some(900_000),
        phase: Some("partial"),
        backfill: Some(BackfillReport {
            by: "command".to_owned(),
            items: 400_000,
            expected: 1_000_000,
            segments: 8,
            segments_done: 2,
            ..BackfillReport::default()
        }),
        backfill_dead_lettered: Some(2),
        lease: Some(lease),
        shards: vec![shard("a", "open"), shard("b", "drained"), shard("c", "open"), shard("d", "gapped")],
        gaps: source().gaps,
        malformed: vec!["shard|x".to_owned()],
    }
}
