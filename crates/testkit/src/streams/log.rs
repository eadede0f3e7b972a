//! The records of one shard, rendered once, so that a page is a copy of a part of one text.

use serde::Deserialize;

use super::limits::Reads;

/// The service ends a page here.
const MOST_RECORDS: usize = 1_000;
const MOST_BYTES: usize = 1 << 20;

/// Where an iterator begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    TrimHorizon,
    Latest,
    At(u128),
    After(u128),
}

/// One shard.
#[derive(Debug)]
pub(super) struct ShardLog {
    pub(super) parent: Option<String>,
    pub(super) starting: String,
    /// `None` while it is open.
    pub(super) ending: Option<String>,
    pub(super) reads: Reads,
    /// The records, a comma between them.
    text: String,
    /// Where each record ends in the text.
    ends: Vec<usize>,
    sequences: Vec<u128>,
}

/// A part of a shard.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    /// Records, a comma between them.
    pub(super) records: &'a str,
    /// The position behind it; `None` at the end of a closed shard.
    pub(super) next: Option<usize>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    dynamodb: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "SequenceNumber")]
    sequence_number: &'a str,
}

// === impl ShardLog ===

impl ShardLog {
    pub(super) fn new(parent: Option<String>, starting: String) -> Self {
        Self {
            parent,
            starting,
            ending: None,
            reads: Reads::new(),
            text: String::new(),
            ends: Vec::new(),
            sequences: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, record: &str) {
        assert!(self.ending.is_none(), "a closed shard takes no records");
        let parsed: Record = serde_json::from_str(record).expect("a record with a sequence number");
        let sequence = parse_sequence(parsed.dynamodb.sequence_number).expect("a sequence number");
        assert!(self.sequences.last().is_none_or(|last| *last < sequence), "sequence numbers ascend");
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(record.trim());
        self.ends.push(self.text.len());
        self.sequences.push(sequence);
    }

    pub(super) fn close(&mut self) {
        let last = self.sequences.last().map(ToString::to_string);
        self.ending = Some(last.unwrap_or_else(|| self.starting.clone()));
    }

    /// The position of the first record that an iterator gives.
    pub(super) fn position(&self, start: Start) -> usize {
        match start {
            Start::TrimHorizon => 0,
            Start::Latest => self.sequences.len(),
            Start::At(from) => self.sequences.partition_point(|sequence| *sequence < from),
            Start::After(last) => self.sequences.partition_point(|sequence| *sequence <= last),
        }
    }

    /// What stands at a position: at most `limit` records, and 1 MB unless the first alone is larger.
    pub(super) fn page(&self, position: usize, limit: usize) -> Page<'_> {
        let position = position.min(self.ends.len());
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before] + 1);
        let ends = &self.ends[position..];
        let fitting = ends.partition_point(|end| end - start <= MOST_BYTES).max(1);
        let count = fitting.min(limit.clamp(1, MOST_RECORDS)).min(ends.len());
        let records = count.checked_sub(1).map_or("", |last| &self.text[start..ends[last]]);
        let next = position + count;
        let drained = self.ending.is_some() && next == self.ends.len();
        Page { records, next: (!drained).then_some(next) }
    }
}

/// Sequence numbers are integers of 21 to 40 digits; those of this kit have fewer than 39.
pub(super) fn parse_sequence(text: &str) -> Option<u128> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u32, bytes: usize) -> String {
        format!(r#"{{"dynamodb":{{"SequenceNumber":"{sequence}"}},"x":"{}"}}"#, "x".repeat(bytes))
    }

    fn log(records: &[(u32, usize)]) -> ShardLog {
        let mut log = ShardLog::new(None, "1".to_owned());
        records.iter().for_each(|(sequence, bytes)| log.append(&record(*sequence, *bytes)));
        log
    }

    #[test]
    fn pages_end_at_their_limits() {
        let log = log(&[(10, 1), (20, 600_000), (30, 600_000), (40, 2_000_000), (50, 1)]);
        let ends: Vec<usize> = (0..=5).map(|position| log.page(position, 1_000).next.unwrap()).collect();
        assert_eq!(ends, [2, 2, 3, 4, 5, 5]);
        assert_eq!(log.page(0, 1).records, record(10, 1));
        assert_eq!(log.page(0, 1_000).records, format!("{},{}", record(10, 1), record(20, 600_000)));
        assert_eq!(log.page(5, 1_000).records, "");
    }

    #[test]
    fn a_thousand_records_at_most() {
        let numbers: Vec<_> = (1..=1_500).map(|number| (number, 1)).collect();
        assert_eq!(log(&numbers).page(0, 5_000).next, Some(1_000));
        assert_eq!(log(&numbers).page(1_000, 1_000).next, Some(1_500));
    }

    #[test]
    fn a_closed_shard_ends_with_its_last_page() {
        let mut log = log(&[(10, 1), (20, 1)]);
        log.close();
        assert_eq!(log.ending.as_deref(), Some("20"));
        assert_eq!(log.page(0, 1).next, Some(1));
        assert_eq!(log.page(0, 2), Page { records: &format!("{},{}", record(10, 1), record(20, 1)), next: None });
        assert_eq!(log.page(2, 2), Page { records: "", next: None });
    }

    #[test]
    fn positions() {
        let log = log(&[(10, 1), (20, 1), (30, 1)]);
        let starts = [Start::TrimHorizon, Start::Latest, Start::At(20), Start::After(20), Start::After(25)];
        assert_eq!(starts.map(|start| log.position(start)), [0, 3, 1, 2, 2]);
    }
}
