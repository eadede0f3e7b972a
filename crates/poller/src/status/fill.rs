//! The backfill state of an index: whether it has the items from before the stream.

use serde::{Deserialize, Serialize};
use streamdex_delivery::backfill::{BackfillRecord, BackfillState};

/// What the state table says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fill {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// It may lack items; the record of the backfill, where one was begun.
    Partial(Option<BackfillRecord>),
    /// It holds all of them, except for this number that could not be indexed.
    Complete {
        /// Items that became dead letters.
        dead_lettered: u64,
    },
}

/// A backfill that was begun and is not complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackfillReport {
    /// Who fills, or is to: `run` or `command`.
    pub by: String,
    /// Changes were lost in a gap that was closed: all of the table is compared with the index.
    pub after_gap: bool,
    /// The process that fills now, if one does.
    pub owner: Option<String>,
    /// Items that were read.
    pub items: u64,
    /// About how many there are.
    pub expected: u64,
    /// Those that cannot be indexed.
    pub dead_lettered: u64,
    /// The segments that the table is read in.
    pub segments: usize,
    /// Those that are at their end.
    pub segments_done: usize,
}

// === impl Fill ===

impl From<Option<BackfillRecord>> for Fill {
    fn from(record: Option<BackfillRecord>) -> Fill {
        match record {
            Some(record) if record.state == BackfillState::Complete => {
                Fill::Complete { dead_lettered: record.dead_lettered }
            }
            record => Fill::Partial(record),
        }
    }
}

impl Fill {
    /// `partial` or `complete`; `None` where nobody has looked yet.
    pub fn phase(&self) -> Option<&'static str> {
        match self {
            Fill::Unknown => None,
            Fill::Partial(_) => Some("partial"),
            Fill::Complete { .. } => Some("complete"),
        }
    }

    /// Items that became dead letters when they were filled; `None` where nobody has filled, or looked.
    pub fn dead_lettered(&self) -> Option<u64> {
        match self {
            Fill::Unknown | Fill::Partial(None) => None,
            Fill::Partial(Some(record)) => Some(record.dead_lettered),
            Fill::Complete { dead_lettered } => Some(*dead_lettered),
        }
    }

    /// The backfill that is not complete.
    pub fn report(&self) -> Option<BackfillReport> {
        let Fill::Partial(Some(record)) = self else { return None };
        Some(BackfillReport {
            by: record.by.to_string(),
            after_gap: record.after_gap,
            owner: record.owner.clone(),
            items: record.items,
            expected: record.expected,
            dead_lettered: record.dead_lettered,
            segments: record.segments.len(),
            segments_done: record.done(),
        })
    }
}

/// Why a phase is `partial`, and what to do: for people.
pub fn partial(backfill: Option<&BackfillReport>) -> String {
    let Some(BackfillReport { by, after_gap, owner, items, expected, .. }) = backfill else {
        return "phase = partial: items from before the stream was followed may be missing; `streamdex verify --full` shows them, `streamdex backfill` writes them".to_owned();
    };
    if *after_gap {
        let lost = "phase = partial: changes were lost in a gap that was closed";
        return match by.as_str() {
            "command" => format!("{lost}; `streamdex verify --full --repair` repairs the differences"),
            _ => format!("{lost}; the reader of the table compares all items, {items} so far"),
        };
    }
    let done = format!("phase = partial: {items} of about {} items are written", expected.max(items));
    match (owner, by.as_str()) {
        (Some(owner), _) => format!("{done}, by {owner}"),
        (None, "command") => format!("{done}; run `streamdex backfill` to continue"),
        (None, _) => format!("{done}; the reader of the table continues"),
    }
}

#[cfg(test)]
mod tests {
    use streamdex_delivery::backfill::{FilledBy, SegmentProgress};

    use super::*;

    #[test]
    fn what_is_not_complete_says_what_to_do() {
        let mut record = BackfillRecord::new(FilledBy::Command, 2, 50, 7);
        (record.items, record.segments[1]) = (20, SegmentProgress::Done);
        let fill = Fill::from(Some(record.clone()));
        let report = fill.report().unwrap();
        assert_eq!((fill.phase(), report.segments, report.segments_done), (Some("partial"), 2, 1));
        assert!(
            partial(Some(&report)).ends_with("20 of about 50 items are written; run `streamdex backfill` to continue")
        );
        let of_run = BackfillReport { by: "run".into(), items: 60, ..report.clone() };
        assert!(
            partial(Some(&of_run)).ends_with("60 of about 60 items are written; the reader of the table continues")
        );
        let owned = BackfillReport { owner: Some("w-1".into()), ..report };
        assert!(partial(Some(&owned)).ends_with("by w-1"));
        assert_eq!(Fill::from(None).phase(), Some("partial"));
        for (by, what) in [(FilledBy::Command, "`streamdex verify --full --repair`"), (FilledBy::Run, "0 so far")] {
            let after_gap = Fill::from(Some(BackfillRecord::after_gap(by, 7))).report();
            assert!(partial(after_gap.as_ref()).contains(what), "{after_gap:?}");
        }
        record.dead_lettered = 3;
        assert_eq!(Fill::from(Some(record)).dead_lettered(), Some(3));
        let mut record = BackfillRecord::of_stream(7);
        record.dead_lettered = 2;
        let complete = Fill::from(Some(record));
        assert_eq!((complete.dead_lettered(), Fill::from(None).dead_lettered()), (Some(2), None));
        assert_eq!((complete.phase(), complete.report()), (Some("complete"), None));
        assert_eq!(Fill::default().phase(), None);
    }
}
