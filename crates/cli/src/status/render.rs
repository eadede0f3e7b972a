//! Status as text for people: pure.

use std::fmt::Write;

use streamdex_poller::observe::{
    GapReport, LeaseReport, Report, ShardItemReport, ShardReport, SourceReport, TableReport, WriterReport,
};
use streamdex_poller::status::{BackfillReport, Summary, partial};

use super::documents::Counted;

/// More would not fit on a screen; `--json` has all.
const ROWS: usize = 20;
/// Seconds for which DynamoDB keeps a stream record.
const KEPT: f64 = 86_400.0;

/// What a worker says of itself.
pub(super) fn report(report: &Report) -> String {
    let mut text = String::new();
    let state = match (report.live, report.ready) {
        (false, _) => "not live",
        (true, false) => "not ready",
        (true, true) => "ready",
    };
    line(&mut text, format_args!("streamdex {}, up {}: {state}", report.version, span(seconds(report.uptime_seconds))));
    for reason in &report.reasons {
        line(&mut text, format_args!("  ! {reason}"));
    }
    writing(&mut text, &report.writer);
    report.sources.iter().for_each(|one| source(&mut text, one));
    text
}

/// What the state table says of the readers.
pub(super) fn tables(tables: &[TableReport]) -> String {
    let mut text = String::new();
    for (position, one) in tables.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        group(&mut text, one);
    }
    text
}

/// What OpenSearch says of the indices.
pub(super) fn indices(indices: &[Counted]) -> String {
    let mut text = String::from("\n");
    for Counted { index, documents, with_ignored_values } in indices {
        line(&mut text, format_args!("index {index}: {documents} documents"));
        if *with_ignored_values > 0 {
            line(
                &mut text,
                format_args!(
                    "  ! {with_ignored_values} of them hold values that do not fit their fields, so no search finds them"
                ),
            );
            line(&mut text, format_args!("    hint: `streamdex index plan` shows how to find them, and what to do"));
        }
    }
    text
}

fn group(text: &mut String, table: &TableReport) {
    let TableReport { source, table: name, stream, group, .. } = table;
    line(text, format_args!("source {source}: table {name}, stream {stream}, group {group}"));
    match table.begun_seconds_ago {
        Some(ago) => line(text, format_args!("  followed for {}", span(seconds(ago)))),
        None => line(text, format_args!("  nobody follows this stream yet")),
    }
    match &table.lease {
        Some(one) => lease(text, one),
        None => line(text, format_args!("  nobody has read the table yet")),
    }
    phase(text, table.phase, table.backfill.as_ref());
    filled(text, table.backfill_dead_lettered);
    gaps(text, &table.gaps);
    for item in &table.malformed {
        line(
            text,
            format_args!("  ! the item {item} cannot be read; if it belongs to a shard, that shard is not read"),
        );
    }
    items(text, &table.shards);
}

fn lease(text: &mut String, lease: &LeaseReport) {
    let ago = span(seconds(lease.beat_seconds_ago));
    let Some(reader) = &lease.reader else {
        line(text, format_args!("  ! nobody reads the table: the lease was released {ago} ago"));
        return;
    };
    let LeaseReport { term, version, fruitless_terms, .. } = lease;
    let since = span(seconds(lease.since_seconds_ago));
    line(text, format_args!("  reader {reader}, version {version}, for {since} (term {term}); beat {ago} ago"));
    let summary = lease.summary.clone().unwrap_or_default();
    let lag = summary.lag_seconds.map_or("-".to_owned(), |lag| format!("{}{}", span(lag), trimmed_in(lag)));
    let Summary { shards, rate, undecided, dead_lettered, calls_per_hour, .. } = summary;
    line(
        text,
        format_args!(
            "  lag {lag}; {shards} shards, {rate:.1} records/s; {undecided} undecided, {dead_lettered} dead letters; {calls_per_hour} calls an hour"
        ),
    );
    freshness(text, summary.missed_freshness_seconds);
    if lease.is_silent() {
        line(text, format_args!("  ! the reader is silent: if there is a standby, it takes over within 8 s"));
    }
    if *fruitless_terms > 1 {
        line(
            text,
            format_args!(
                "  ! {fruitless_terms} terms in a row without progress: DynamoDB Streams or OpenSearch does not answer any replica"
            ),
        );
    }
    if let Some(reason) = &summary.pause {
        line(text, format_args!("  ! {reason}"));
    }
}

/// First what needs looking at.
fn items(text: &mut String, shards: &[ShardItemReport]) {
    let mut shown: Vec<&ShardItemReport> = shards.iter().collect();
    shown.sort_by_key(|shard| shard.state != "gapped");
    let gapped = shards.iter().filter(|shard| shard.state == "gapped").count();
    line(text, format_args!("  shards: {}, of these {gapped} gapped", shards.len()));
    let rows = shown.iter().take(ROWS).map(|shard| {
        [
            shard.shard.clone(),
            shard.state.to_owned(),
            shard.position.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{} ago", span(seconds(shard.updated_seconds_ago))),
        ]
    });
    table(text, ["SHARD", "STATE", "POSITION", "UPDATED"], &rows.collect::<Vec<_>>());
    more(text, shown.len());
}

fn more(text: &mut String, rows: usize) {
    if let Some(more) = rows.checked_sub(ROWS).filter(|more| *more > 0) {
        line(text, format_args!("  and {more} more; --json has all of them"));
    }
}

fn writing(text: &mut String, writer: &WriterReport) {
    let WriterReport { requests_in_flight, requests_limit, waiting_operations, requests, retried, .. } = writer;
    line(
        text,
        format_args!(
            "writing: {requests} requests, {requests_in_flight} of {requests_limit} in flight; {waiting_operations} operations wait, {retried} were sent again"
        ),
    );
    for pause in &writer.pauses {
        line(text, format_args!("  ! {} (for {})", pause.message, span(seconds(pause.seconds))));
        line(text, format_args!("    hint: {}", pause.hint));
    }
}

fn source(text: &mut String, source: &SourceReport) {
    line(text, format_args!("\nsource {}: table {}, stream {}", source.name, source.table, source.stream));
    if source.worker.is_empty() {
        line(text, format_args!("  nothing is followed yet"));
    } else {
        progress(text, source);
    }
    if let Some(reason) = &source.paused {
        line(text, format_args!("  ! {reason}"));
    }
    phase(text, source.phase.as_deref(), source.backfill.as_ref());
    filled(text, source.backfill_dead_lettered);
    gaps(text, &source.gaps);
    shards(text, &source.shards);
}

fn progress(text: &mut String, source: &SourceReport) {
    let SourceReport { worker, records, rate, undecided, .. } = source;
    match (source.term, &source.reader) {
        (Some(term), _) => {
            let beat = source
                .heartbeat_age_seconds
                .map_or("no heartbeat yet".to_owned(), |age| format!("heartbeat {} ago", span(age)));
            line(text, format_args!("  worker {worker} reads, term {term}; {beat}"));
        }
        (None, Some(reader)) => return line(text, format_args!("  worker {worker} stands by; {reader} reads")),
        (None, None) => return line(text, format_args!("  worker {worker} stands by; nobody reads")),
    }
    let lag = source.lag_seconds.map_or("-".to_owned(), |lag| format!("{}{}", span(lag), trimmed_in(lag)));
    let calls = source.projected_calls_per_hour;
    line(text, format_args!("  lag {lag}; {rate:.1} records/s; {undecided} undecided; {calls} calls an hour"));
    freshness(text, source.missed_freshness_seconds);
    let outcomes = source.outcomes.iter().filter(|(_, records)| **records > 0);
    let outcomes: Vec<String> = outcomes.map(|(outcome, records)| format!("{records} {outcome}")).collect();
    let outcomes = if outcomes.is_empty() { "-".to_owned() } else { outcomes.join(", ") };
    line(text, format_args!("  {records} records: {outcomes}"));
}

/// What the table held before its stream may be missing.
fn phase(text: &mut String, phase: Option<&str>, backfill: Option<&BackfillReport>) {
    if phase == Some("partial") {
        line(text, format_args!("  ! {}", partial(backfill)));
    }
}

/// Dead letters that are not among those of the stream.
fn filled(text: &mut String, dead_lettered: Option<u64>) {
    if let Some(letters @ 1..) = dead_lettered {
        line(
            text,
            format_args!(
                "  {letters} dead letters from filling the index: `streamdex dlq list` shows those that remain"
            ),
        );
    }
}

/// More shards than the machine can look at in time.
fn freshness(text: &mut String, reached: Option<f64>) {
    if let Some(reached) = reached {
        line(
            text,
            format_args!("  ! each shard is polled only every {}, less often than freshness asks for", span(reached)),
        );
    }
}

pub(super) fn gaps(text: &mut String, gaps: &[GapReport]) {
    for gap in gaps {
        line(text, format_args!("  ! gap: {}", gap.message));
        line(text, format_args!("    hint: {}", gap.hint));
    }
}

/// First what needs looking at, then what is furthest behind.
fn shards(text: &mut String, shards: &[ShardReport]) {
    let mut shown: Vec<&ShardReport> = shards.iter().collect();
    let trouble = |shard: &ShardReport| matches!(shard.phase.as_str(), "gapped" | "paused");
    shown.sort_by(|one, other| {
        let by_trouble = trouble(other).cmp(&trouble(one));
        by_trouble.then_with(|| other.lag_seconds.unwrap_or(-1.0).total_cmp(&one.lag_seconds.unwrap_or(-1.0)))
    });
    let rows = shown.iter().take(ROWS).map(|shard| {
        [
            shard.shard.clone(),
            shard.phase.clone(),
            shard.lag_seconds.map_or("-".to_owned(), span),
            format!("{:.1}/s", shard.rate),
            shard.in_flight.to_string(),
            shard.retries.to_string(),
        ]
    });
    let head = ["SHARD", "PHASE", "LAG", "RATE", "IN FLIGHT", "RETRIES"];
    table(text, head, &rows.collect::<Vec<_>>());
    more(text, shown.len());
    for shard in shown.iter().take(ROWS) {
        if let Some(reason) = &shard.paused {
            line(text, format_args!("  ! {}: {reason}", shard.shard));
        }
        if let Some(error) = &shard.last_error {
            let ago = span(seconds(error.seconds_ago));
            line(text, format_args!("    {}, {ago} ago: {}", shard.shard, error.message));
            line(text, format_args!("    hint: {}", error.hint));
        }
    }
}

/// Columns as wide as their widest cell; nothing where there are no rows.
pub(super) fn table<const N: usize>(text: &mut String, head: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
            cells.chain(head.get(column).copied()).map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let mut row = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(text, format_args!("  {}", padded.collect::<Vec<_>>().join("  ").trim_end()));
    };
    row(&head);
    rows.iter().for_each(|cells| row(&cells.each_ref().map(String::as_str)));
}

/// How long the oldest record that waits can still be read, where that comes near or something has stood for long.
fn trimmed_in(lag: f64) -> String {
    match KEPT - lag {
        _ if lag < 600.0 => String::new(),
        left if left > 0.0 => format!(", trimmed in {}", span(left)),
        _ => ", trimmed now".to_owned(),
    }
}

/// A length of time in its largest fitting unit.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.05 => "0 s".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// Whole seconds as a number to reckon with; no uptime is longer than what 32 bits hold.
pub(super) fn seconds(whole: u64) -> f64 {
    f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
}

pub(super) fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_worker_in_trouble() {
        insta::assert_snapshot!("worker_in_trouble", report(&samples::in_trouble()));
    }

    #[test]
    fn a_worker_that_has_just_begun() {
        insta::assert_snapshot!("worker_just_begun", report(&samples::just_begun()));
    }

    #[test]
    fn a_worker_that_stands_by() {
        insta::assert_snapshot!("worker_standing_by", report(&samples::standing_by()));
    }

    #[test]
    fn a_group() {
        insta::assert_snapshot!("group", tables(&[samples::group(), TableReport::default()]));
    }

    #[test]
    fn many_shards() {
        let mut many = samples::in_trouble();
        let shards = &mut many.sources[0].shards;
        let one = shards[0].clone();
        shards.extend((0..30).map(|n| ShardReport {
            shard: format!("shardId-{n:02}"),
            lag_seconds: Some(f64::from(n)),
            phase: "reading".to_owned(),
            ..one.clone()
        }));
        let text = report(&many);
        assert!(text.contains("and 13 more; --json has all of them"), "{text}");
        let at = |shard: &str| text.find(shard).unwrap_or(usize::MAX);
        assert!(at("shardId-gapped") < at("shardId-29") && at("shardId-29") < at("shardId-28"), "{text}");
    }

    #[test]
    fn a_long_lag_says_how_long_its_record_can_still_be_read() {
        let rows = [
            (30.0, ""),
            (7_200.0, ", trimmed in 22 h"),
            (85_000.0, ", trimmed in 23 min"),
            (90_000.0, ", trimmed now"),
        ];
        for (lag, expected) in rows {
            assert_eq!(trimmed_in(lag), expected);
        }
    }

    #[test]
    fn indices_with_values_that_no_search_finds_are_named() {
        let counted =
            |index: &str, with_ignored_values| Counted { index: index.into(), documents: 12, with_ignored_values };
        let shown = indices(&[counted("a-000001", 0), counted("b-000001", 3)]);
        assert!(shown.contains("index a-000001: 12 documents\nindex b-000001: 12 documents\n  ! 3 of them"), "{shown}");
    }

    #[test]
    fn spans() {
        let rows =
            [(0.0, "0 s"), (0.31, "0.3 s"), (75.2, "75 s"), (600.0, "10 min"), (10_800.0, "3 h"), (1e6, "12 days")];
        for (seconds, expected) in rows {
            assert_eq!(span(seconds), expected);
        }
    }
}
