//! The records of a page, and the text that they are borrowed from.

use std::sync::Arc;

use bytes::Bytes;
use self_cell::self_cell;
use streamdex_mapping::event::{AnswerError, read_records, text_of};
use streamdex_mapping::{CreationTime, ItemOrder, ReadRecord, SequenceNumber};

/// The records of one answer of GetRecords, in order.
pub struct Records {
    page: Page,
    sizes: u64,
}

/// What an answer of GetRecords holds.
#[derive(Debug)]
pub struct RecordsAnswer {
    /// Its records; `None` where it has no list of them.
    pub records: Option<Records>,
    /// The iterator behind it; `None` where the answer has none.
    pub next: Option<String>,
}

/// What the records are borrowed from.
struct Source {
    text: Bytes,
    stream_arn: Arc<str>,
}

type Changes<'a> = Vec<ReadRecord<'a>>;

self_cell!(
    struct Page {
        owner: Source,
        #[covariant]
        dependent: Changes,
    }
);

// === impl Records ===

impl Records {
    /// Reads an answer of GetRecords. Its records are taken to be from the stream.
    ///
    /// # Errors
    /// The text is no answer of GetRecords.
    pub fn read(text: Bytes, stream_arn: Arc<str>) -> Result<RecordsAnswer, AnswerError> {
        let (mut next, mut has_records, mut sizes) = (None, false, 0);
        let page = Page::try_new(Source { text, stream_arn }, |source| {
            let text = text_of(&source.text).map_err(|(line, column)| AnswerError { line, column })?;
            let answer = read_records(text, &source.stream_arn)?;
            next = answer.next.map(std::borrow::Cow::into_owned);
            (has_records, sizes) = (answer.records.is_some(), answer.sizes);
            Ok(answer.records.unwrap_or_default())
        })?;
        Ok(RecordsAnswer { records: has_records.then_some(Records { page, sizes }), next })
    }

    /// The records.
    pub fn as_slice(&self) -> &[ReadRecord<'_>] {
        self.page.borrow_dependent()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Their sizes as the service reports them, in bytes: keys and images, without what is written around them.
    pub fn sizes(&self) -> u64 {
        self.sizes
    }

    /// The size of the answer that they came in, which is kept as long as they are, in bytes; no less than their sizes.
    pub fn bytes(&self) -> u64 {
        let text = self.page.borrow_owner().text.len();
        u64::try_from(text).unwrap_or(u64::MAX).max(self.sizes)
    }

    /// Leaves those that were created before a moment out; those that do not say when stay.
    pub fn retain_from(&mut self, floor: CreationTime) {
        self.page
            .with_dependent_mut(|_, records| records.retain(|record| created(record).is_none_or(|at| at >= floor)));
    }

    /// Gives each change the second that it is written under.
    pub fn arrange(&mut self, order: &mut ItemOrder) {
        self.page.with_dependent_mut(|_, records| order.arrange(records));
    }
}

/// The record's place in its shard.
pub fn sequence<'r>(record: &'r ReadRecord<'_>) -> Option<&'r SequenceNumber> {
    match record {
        Ok(change) => change.sequence.as_ref(),
        Err(error) => error.sequence.as_ref(),
    }
}

/// The record's creation time, where it says one.
pub fn created(record: &ReadRecord<'_>) -> Option<CreationTime> {
    match record {
        Ok(change) => change.created,
        Err(error) => error.created,
    }
}

/// What records hold is private: `Debug` shows how many there are.
impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records", self.len())
    }
}
