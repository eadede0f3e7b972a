//! The progress of a table's backfill: one record in the state table, written by the process that fills.
//!
//! Each write names its predecessor. So if two processes both try to fill, one of them is refused. This is enough:
//! filling an item twice does no harm.

use std::fmt;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use streamdex_config::TableArn;
use streamdex_dynamodb::scan::{ScanPosition, Segment};
use streamdex_dynamodb::state::{
    Action, Answer, Condition, Extent, Item, Operation, Partition, SortKey, StateError, StatePartition, StateTable,
    check_format, number, of_number, text,
};
use streamdex_mapping::READ_MARGIN_SECONDS;
use streamdex_sink::index::KnownIndex;

use crate::indices::KnownIndices;

/// The progress of a table's backfill. Times are seconds since 1970, by the service's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRecord {
    /// What it is about.
    pub state: BackfillState,
    /// Who fills, or is to.
    pub by: FilledBy,
    /// The process that fills; `None` if it was stopped or is complete.
    pub owner: Option<String>,
    /// Changes were lost: documents whose items are gone may be there, so that only a comparison completes it.
    pub after_gap: bool,
    /// Grows with each write. A later backfill begins with a larger one, so that nobody takes it for an earlier one.
    pub beat: u64,
    /// When it was begun.
    pub began: u64,
    /// When this was written.
    pub at: u64,
    /// No item is read before this: a change that is older than the pin of the stream must not look newer than what is read.
    pub not_before: u64,
    /// About how many items the table had.
    pub expected: u64,
    /// How many were read.
    pub items: u64,
    /// How many of them cannot be indexed.
    pub dead_lettered: u64,
    /// How far each segment is.
    pub segments: Vec<SegmentProgress>,
}

/// What a backfill is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Items are missing in the index.
    Running,
    /// Every item that was there was written.
    Complete,
}

/// Who fills a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FilledBy {
    /// `run`, beside reading the stream.
    Run,
    /// `backfill`.
    Command,
    /// No backfill is needed: the stream was read from its beginning, and the table is not older.
    Stream,
}

/// How far a segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentProgress {
    /// It goes on after this item; `None` at its beginning.
    At(Option<ScanPosition>),
    /// It is at its end.
    Done,
}

/// Whether a record was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It was.
    Stored,
    /// Somebody else has written since, or the record is gone.
    Refused,
}

/// Where the record of one table is.
#[async_trait]
pub trait BackfillStore: Send + Sync {
    /// The record as it is; `None` where there is none.
    async fn load(&self) -> Result<Option<BackfillRecord>, StateError>;
    /// Stores `record` if the stored one has the beat `follows`; with `None`, if there is none.
    async fn store(&self, record: &BackfillRecord, follows: Option<u64>) -> Result<Stored, StateError>;
    /// Records an index that is written to, so that the next process notices when it is gone.
    async fn note(&self, index: &KnownIndex) -> Result<(), StateError>;
    /// Stores `record` unconditionally: the next write of the process that fills is refused.
    async fn replace(&self, record: &BackfillRecord) -> Result<(), StateError>;
    /// How many gaps of the table are recorded.
    async fn gaps(&self) -> Result<usize, StateError>;
}

/// The record in the state table.
#[derive(Debug, Clone)]
pub struct StoredBackfill {
    partition: StatePartition,
    indices: KnownIndices,
}

/// The number of segments with which one process reads a table fast enough.
pub const SEGMENTS: u32 = 8;

// === impl Stored ===

impl Stored {
    /// The result of the write of a record. `is_own` says whether the stored item is the record.
    pub fn of(answer: &Answer, is_own: impl FnOnce(&Item) -> bool) -> Stored {
        if answer.is_stored(is_own) { Stored::Stored } else { Stored::Refused }
    }
}

// === impl BackfillRecord ===

impl BackfillRecord {
    /// A backfill with this number of segments that has not begun.
    pub fn new(by: FilledBy, segments: u32, expected: u64, now: u64) -> BackfillRecord {
        BackfillRecord {
            state: BackfillState::Running,
            by,
            owner: None,
            after_gap: false,
            beat: now,
            began: now,
            at: now,
            not_before: 0,
            expected,
            items: 0,
            dead_lettered: 0,
            segments: Segment::all(segments).map(|_| SegmentProgress::At(None)).collect(),
        }
    }

    /// The record of a table whose stream held all of its items.
    pub fn of_stream(now: u64) -> BackfillRecord {
        let record = BackfillRecord::new(FilledBy::Stream, 1, 0, now);
        BackfillRecord { state: BackfillState::Complete, segments: Vec::new(), ..record }
    }

    /// The record of a table with lost changes: all items must be compared, 90 seconds after reading continues. In
    /// between, documents of these last seconds look newer than the items that are read.
    pub fn after_gap(by: FilledBy, now: u64) -> BackfillRecord {
        let not_before = now + READ_MARGIN_SECONDS;
        BackfillRecord { after_gap: true, not_before, ..BackfillRecord::new(by, SEGMENTS, 0, now) }
    }

    /// Marks the backfill as complete: all items were compared with their documents. `dead_lettered` of them differ and
    /// have dead letters.
    #[must_use]
    pub fn completed(&self, (items, dead_lettered): (u64, u64), now: u64) -> BackfillRecord {
        let state = BackfillState::Complete;
        let (beat, owner, segments) = (self.beat + 1, None, Vec::new());
        BackfillRecord { state, owner, beat, at: now, items, dead_lettered, segments, ..self.clone() }
    }

    /// How many segments are at their end.
    pub fn done(&self) -> usize {
        self.segments.iter().filter(|segment| **segment == SegmentProgress::Done).count()
    }

    /// From an item of the state table; `None` where it cannot be read.
    pub fn read(item: &Item) -> Option<BackfillRecord> {
        let state = match text(item, "state")? {
            "running" => BackfillState::Running,
            "complete" => BackfillState::Complete,
            _ => return None,
        };
        let by = match text(item, "by")? {
            "run" => FilledBy::Run,
            "command" => FilledBy::Command,
            "stream" => FilledBy::Stream,
            _ => return None,
        };
        let segments = item.get("segments")?.as_l().ok()?;
        Some(BackfillRecord {
            state,
            by,
            owner: text(item, "owner").map(str::to_owned),
            after_gap: item.get("after_gap")?.as_bool().ok().copied()?,
            beat: number(item, "beat")?,
            began: number(item, "began")?,
            at: number(item, "at")?,
            not_before: number(item, "not_before")?,
            expected: number(item, "expected")?,
            items: number(item, "items")?,
            dead_lettered: number(item, "dead_lettered")?,
            segments: segments
                .iter()
                .map(|segment| SegmentProgress::parse(segment.as_s().ok()?))
                .collect::<Option<_>>()?,
        })
    }

    /// Its own attributes, without its key.
    fn attributes(&self) -> Item {
        let word = |word: &str| AttributeValue::S(word.to_owned());
        let segments = self.segments.iter().map(|segment| AttributeValue::S(segment.text().to_owned())).collect();
        let mut item = Item::from([
            ("state".to_owned(), word(self.state.name())),
            ("by".to_owned(), word(self.by.name())),
            ("after_gap".to_owned(), AttributeValue::Bool(self.after_gap)),
            ("beat".to_owned(), of_number(self.beat)),
            ("began".to_owned(), of_number(self.began)),
            ("at".to_owned(), of_number(self.at)),
            ("not_before".to_owned(), of_number(self.not_before)),
            ("expected".to_owned(), of_number(self.expected)),
            ("items".to_owned(), of_number(self.items)),
            ("dead_lettered".to_owned(), of_number(self.dead_lettered)),
            ("segments".to_owned(), AttributeValue::L(segments)),
        ]);
        if let Some(owner) = &self.owner {
            item.insert("owner".to_owned(), word(owner));
        }
        item
    }

    /// Stores the record if the stored one has the beat `follows`; with `None`, if there is none.
    pub fn put(&self, follows: Option<u64>) -> Operation {
        let condition = match follows {
            Some(beat) => Condition::Is("beat", of_number(beat)),
            None => Condition::Missing,
        };
        let sort_key = SortKey::Backfill.text();
        Operation { sort_key, conditions: vec![condition], action: Action::Put(self.attributes()) }
    }

    /// Stores the record unconditionally and replaces an earlier one.
    pub fn replace(&self) -> Operation {
        Operation { conditions: Vec::new(), ..self.put(None) }
    }

    /// Forgets whatever is recorded: with a pin where nothing is decided.
    pub fn forget() -> Operation {
        Operation { sort_key: SortKey::Backfill.text(), conditions: Vec::new(), action: Action::Delete }
    }
}

impl BackfillState {
    fn name(self) -> &'static str {
        match self {
            BackfillState::Running => "running",
            BackfillState::Complete => "complete",
        }
    }
}

impl FilledBy {
    fn name(self) -> &'static str {
        match self {
            FilledBy::Run => "run",
            FilledBy::Command => "command",
            FilledBy::Stream => "stream",
        }
    }
}

impl fmt::Display for FilledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SegmentProgress {
    const BEGINNING: &str = "beginning";
    const DONE: &str = "done";

    /// A position is an object, and no word.
    fn text(&self) -> &str {
        match self {
            SegmentProgress::At(None) => SegmentProgress::BEGINNING,
            SegmentProgress::At(Some(position)) => position.as_str(),
            SegmentProgress::Done => SegmentProgress::DONE,
        }
    }

    fn parse(text: &str) -> Option<SegmentProgress> {
        Some(match text {
            SegmentProgress::BEGINNING => SegmentProgress::At(None),
            SegmentProgress::DONE => SegmentProgress::Done,
            position => SegmentProgress::At(Some(ScanPosition::parse(position)?)),
        })
    }
}

// === impl StoredBackfill ===

impl StoredBackfill {
    /// The record of the group of `state` about `table`.
    pub fn new(state: StateTable, table: &TableArn) -> StoredBackfill {
        let key = Partition::Follow { group: state.group(), table: table.as_str() }.key();
        let indices = KnownIndices::new(state.clone(), table);
        StoredBackfill { partition: StatePartition::new(state, key), indices }
    }
}

#[async_trait]
impl BackfillStore for StoredBackfill {
    async fn load(&self) -> Result<Option<BackfillRecord>, StateError> {
        let key = SortKey::Backfill.text();
        let Some(item) = self.partition.get(&key).await? else { return Ok(None) };
        check_format(&item, &key)?;
        // What is there and cannot be read is not absent.
        BackfillRecord::read(&item).map(Some).ok_or(StateError::Malformed { key })
    }

    async fn store(&self, record: &BackfillRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        let written = self.partition.write(&[record.put(follows)]).await?;
        Ok(Stored::of(&written.answer, |found| BackfillRecord::read(found).as_ref() == Some(record)))
    }

    async fn note(&self, index: &KnownIndex) -> Result<(), StateError> {
        self.indices.note(index).await
    }

    async fn replace(&self, record: &BackfillRecord) -> Result<(), StateError> {
        self.partition.write(&[record.replace()]).await.map(drop)
    }

    async fn gaps(&self) -> Result<usize, StateError> {
        Ok(self.partition.query(Extent::Prefix(SortKey::GAP_PREFIX)).await?.len())
    }
}

#[cfg(test)]
mod tests {
    use streamdex_dynamodb::state::apply;

    use super::*;

    #[test]
    fn what_is_stored_is_read_and_what_follows_something_else_is_refused() {
        let position = ScanPosition::parse(r#"{"pk":{"S":"a"}}"#);
        let mut record = BackfillRecord::after_gap(FilledBy::Command, 1_700_000_000);
        record.segments = vec![SegmentProgress::At(None), SegmentProgress::At(position), SegmentProgress::Done];
        record.beat = 1;
        (record.owner, record.not_before, record.items, record.dead_lettered) = (Some("w".into()), 90, 7, 1);
        let mut items = std::collections::BTreeMap::new();
        let mut write = |operation: Operation| apply(&mut items, "p", &[operation]);
        assert_eq!(write(record.put(None)), Answer::Stored);
        assert!(matches!(write(record.put(None)), Answer::Refused(_)), "there is one");
        let next = BackfillRecord { beat: 2, state: BackfillState::Complete, ..record.clone() };
        assert_eq!(write(next.put(Some(1))), Answer::Stored);
        let Answer::Refused(refused) = write(record.put(Some(1))) else { panic!("it is late") };
        assert_eq!(refused[0].found.as_ref().and_then(BackfillRecord::read), Some(next.clone()));
        assert_eq!((next.done(), record.segments.len()), (1, 3));
        assert_eq!(write(BackfillRecord::forget()), Answer::Stored);
        assert!(items.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_no_record() {
        let whole = BackfillRecord::of_stream(7).attributes();
        assert_eq!(BackfillRecord::read(&whole), Some(BackfillRecord::of_stream(7)));
        for name in ["state", "by", "beat", "segments", "items"] {
            let mut item = whole.clone();
            item.insert(name.to_owned(), AttributeValue::Bool(true));
            assert_eq!(BackfillRecord::read(&item), None, "{name}");
        }
    }
}
