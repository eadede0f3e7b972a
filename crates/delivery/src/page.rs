//! The records of one page, mapped: what is to be sent, what is to be read, and what is refused already.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::digest::Output;
use sha2::{Digest, Sha256};
use streamdex_config::Arn;
use streamdex_mapping::{
    Address, Batch, Change, MapError, Mapper, Operation, Outcome, RecordError, RecordMeta, SequenceNumber, Trust,
};

use crate::letter::LetterKey;

/// The records of one page on their way. Pure: [`crate::delivery`] does what it asks for.
#[derive(Debug, Default)]
pub struct Page {
    pub(crate) batch: Batch,
    pub(crate) refused: Vec<RefusedRecord>,
    /// The logical indices that something was sent to.
    pub(crate) indices: BTreeSet<String>,
    /// The label of the stream of each run of records, for their dead letters.
    labels: Vec<(usize, Arc<str>)>,
    /// Records without a sequence number, by their digest.
    digests: Vec<(usize, String)>,
}

/// A record that cannot be mapped; its dead letter is still to be stored.
#[derive(Debug)]
pub(crate) struct RefusedRecord {
    pub(crate) record: usize,
    pub(crate) address: Option<Address>,
    pub(crate) reason: &'static str,
    pub(crate) error: String,
}

/// What a record comes to, told without sending anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// At least one operation of it is sent.
    Sent,
    /// It sends nothing: unchanged, filtered, or coalesced.
    Nothing(Outcome),
    /// Its item has to be read.
    Fetch,
    /// It cannot be mapped.
    Refused {
        /// A word for the kind of problem.
        reason: &'static str,
        /// A sentence, without values.
        error: String,
    },
}

impl Page {
    /// Maps one record and adds it; records are added in the order in which they came.
    ///
    /// # Errors
    /// The configuration does not fit the table, so that no record can be mapped: work stops. The record
    /// was not added.
    pub fn add(
        &mut self,
        mapper: &Mapper,
        record: Result<&Change<'_>, RecordError>,
        trust: Trust,
    ) -> Result<(), MapError> {
        let record = match record {
            Ok(change) => return self.add_change(mapper, change, trust),
            Err(error) => error,
        };
        self.note_label(record.stream_arn.as_deref());
        if let Some(digest) = record.digest {
            self.digests.push((self.batch.len(), format!("{:x}", Output::<Sha256>::from(*digest))));
        }
        let meta = RecordMeta {
            sequence: record.sequence,
            created: record.created,
            keys: record.keys.map(String::from).unwrap_or_default(),
        };
        let (reason, error) = (record.reason.name(), record.reason.to_string());
        self.refuse(meta, RefusedRecord { record: 0, address: None, reason, error });
        Ok(())
    }

    fn add_change(&mut self, mapper: &Mapper, change: &Change<'_>, trust: Trust) -> Result<(), MapError> {
        let mapped = mapper.map(change, trust);
        let keys = change.canonical_keys();
        self.note_label(change.stream_arn.as_deref());
        if change.sequence.is_none() {
            // The replay of its letter reads the item by its key, so one letter for a key and time is enough.
            let seconds = change.created.map_or(0, |created| created.seconds());
            self.digests.push((self.batch.len(), format!("{:x}", Sha256::digest(format!("{seconds} {keys}")))));
        }
        let meta = RecordMeta { sequence: change.sequence.clone(), created: change.created, keys };
        match mapped {
            Ok(mapped) => self.batch.push(meta, mapped),
            Err(error) if error.is_configuration() => return Err(error),
            Err(error) => {
                let address = mapper.known_address(change);
                self.refuse(meta, RefusedRecord { record: 0, address, reason: error.name(), error: error.to_string() });
            }
        }
        Ok(())
    }

    fn refuse(&mut self, meta: RecordMeta, refused: RefusedRecord) {
        let record = self.batch.push_refused(meta);
        self.refused.push(RefusedRecord { record, ..refused });
    }

    fn note_label(&mut self, stream_arn: Option<&str>) {
        let stream = stream_arn.and_then(Arn::parse).and_then(Arn::stream);
        let label = stream.map_or(LetterKey::NO_STREAM, |(_, label)| label);
        if self.labels.last().is_none_or(|(_, last)| &**last != label) {
            self.labels.push((self.batch.len(), label.into()));
        }
    }

    /// The label of the stream that a record came from.
    pub(crate) fn label(&self, record: usize) -> &str {
        let after = self.labels.partition_point(|(first, _)| *first <= record);
        after.checked_sub(1).and_then(|at| self.labels.get(at)).map_or(LetterKey::NO_STREAM, |(_, label)| label)
    }

    /// What tells a record from the others of its stream: its sequence number, else its digest.
    pub(crate) fn identity(&self, record: usize) -> String {
        let sequence = self.batch.meta(record).and_then(|meta| meta.sequence.as_ref());
        if let Some(sequence) = sequence {
            return sequence.as_str().to_owned();
        }
        let digest = self.digests.iter().find(|(at, _)| *at == record);
        digest.map(|(_, digest)| digest.clone()).unwrap_or_default()
    }

    /// What would be sent, in order, and what each record comes to. For showing: nothing is decided.
    pub fn into_parts(mut self) -> (Vec<Operation>, Vec<Fate>) {
        let handles = self.batch.fetches();
        let fetched: Vec<usize> = handles.iter().filter_map(|handle| Some(self.batch.fetch(*handle)?.1)).collect();
        let operations = self.batch.take_operations().into_iter().map(|(_, operation)| operation).collect();
        let mut fates: Vec<Fate> =
            self.batch.outcomes().map(|outcome| outcome.map_or(Fate::Sent, Fate::Nothing)).collect();
        let mut set = |record: usize, fate| {
            if let Some(place) = fates.get_mut(record) {
                *place = fate;
            }
        };
        fetched.into_iter().for_each(|record| set(record, Fate::Fetch));
        for refused in self.refused {
            set(refused.record, Fate::Refused { reason: refused.reason, error: refused.error });
        }
        (operations, fates)
    }

    /// The keys of the records: two pages without a common one write no common document.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        (0..self.batch.len()).filter_map(|record| Some(self.batch.meta(record)?.keys.as_str()))
    }

    /// The sequence numbers of the records, in order; `None` where a record has none that can be read.
    pub fn sequences(&self) -> impl Iterator<Item = Option<&SequenceNumber>> {
        (0..self.batch.len()).map(|record| self.batch.meta(record)?.sequence.as_ref())
    }

    /// When the newest change happened, in seconds since 1970; `None` where no record says.
    pub fn newest(&self) -> Option<u32> {
        let created = |record| Some(self.batch.meta(record)?.created?.seconds());
        (0..self.batch.len()).filter_map(created).max()
    }

    /// How many records cannot be mapped, and wait for their dead letters.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// How many records were added.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether no record was added.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use streamdex_mapping::event::read_captured;
    use streamdex_mapping::{IndexName, Route};

    use super::*;

    fn page(text: &str) -> Page {
        let mapper = Mapper::new(vec![Route::to(IndexName::parse("i").unwrap())]);
        let mut page = Page::default();
        read_captured(text, |_, record| page.add(&mapper, record, Trust::InOrder).unwrap()).unwrap();
        page
    }

    #[test]
    fn records_are_known_by_stream_and_sequence_else_by_a_digest() {
        let arn = r#""eventSourceARN":"arn:aws:dynamodb:eu-west-1:0:table/t/stream/2026-01-01T00:00:00.000""#;
        let keys = r#""Keys":{"pk":{"S":"a"}}"#;
        let page = page(&format!(
            r#"[{{{arn},"eventName":"REMOVE","dynamodb":{{{keys},"SequenceNumber":"7"}}}},5,6,
               {{"eventName":"REMOVE","dynamodb":{{{keys}}}}}]"#
        ));
        assert_eq!((page.label(0), page.identity(0).as_str()), ("2026-01-01T00:00:00.000", "7"));
        assert_eq!(page.label(1), "-");
        let digests: Vec<_> = (1..4).map(|record| page.identity(record)).collect();
        assert!(digests.iter().all(|digest| digest.len() == 64));
        assert!(digests[0] != digests[1] && digests[1] != digests[2]);
        let reasons: Vec<_> = page.refused.iter().map(|refused| refused.reason).collect();
        assert_eq!(reasons, ["no_creation_time", "malformed_record", "malformed_record", "no_creation_time"]);
        assert_eq!(page.batch.tally().1, 4);
    }
}
