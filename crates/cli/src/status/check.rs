//! `status --check`: the exit status for alarms. Pure.

use streamdex_poller::observe::TableReport;

use crate::exit::Exit;

/// A gap counts most: somebody has to act on it.
pub(super) fn exit(tables: &[TableReport], max_lag: f64) -> Exit {
    if tables.iter().any(|table| !table.gaps.is_empty() || !table.malformed.is_empty()) {
        return Exit::Gapped;
    }
    if tables.iter().all(|table| is_well(table, max_lag)) { Exit::Done } else { Exit::DeadLetters }
}

fn is_well(table: &TableReport, max_lag: f64) -> bool {
    let Some(lease) = &table.lease else { return false };
    let Some(summary) = &lease.summary else { return false };
    let reads = lease.reader.is_some() && !lease.is_silent();
    // A lag that is not known yet is not small.
    let is_near = summary.shards == 0 || summary.lag_seconds.is_some_and(|lag| lag <= max_lag);
    reads && is_near && summary.pause.is_none() && summary.gapped == 0
}

#[cfg(test)]
mod tests {
    use streamdex_poller::observe::{GapReport, LeaseReport};
    use streamdex_poller::status::Summary;

    use super::*;

    fn table(change: impl FnOnce(&mut TableReport, &mut LeaseReport, &mut Summary)) -> TableReport {
        let mut summary = Summary { lag_seconds: Some(0.0), shards: 2, ..Summary::default() };
        let mut lease =
            LeaseReport { reader: Some("a".to_owned()), term: 1, beat_seconds_ago: 1, ..LeaseReport::default() };
        let mut table = TableReport::default();
        change(&mut table, &mut lease, &mut summary);
        lease.summary = Some(summary);
        TableReport { lease: Some(lease), ..table }
    }

    #[test]
    fn the_exit_status_says_whether_somebody_has_to_act() {
        let rows = [
            ("all is well", table(|_, _, _| {}), Exit::Done),
            ("an empty stream", table(|_, _, summary| (summary.shards, summary.lag_seconds) = (0, None)), Exit::Done),
            ("a gap", table(|table, _, _| table.gaps.push(GapReport::default())), Exit::Gapped),
            ("an unreadable item", table(|table, _, _| table.malformed.push("shard|x".to_owned())), Exit::Gapped),
            ("a pause", table(|_, _, summary| summary.pause = Some("the disk is full".to_owned())), Exit::DeadLetters),
            ("a large lag", table(|_, _, summary| summary.lag_seconds = Some(61.0)), Exit::DeadLetters),
            ("an unknown lag", table(|_, _, summary| summary.lag_seconds = None), Exit::DeadLetters),
            ("nobody reads", table(|_, lease, _| lease.reader = None), Exit::DeadLetters),
            ("the reader is silent", table(|_, lease, _| lease.beat_seconds_ago = 16), Exit::DeadLetters),
            ("nobody has ever read", TableReport::default(), Exit::DeadLetters),
        ];
        for (row, table, expected) in rows {
            assert_eq!(exit(&[table], 60.0), expected, "{row}");
        }
    }
}
