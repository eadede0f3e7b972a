//! The records of one page, mapped: what is to be sent, what is to be read, and what is refused already.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use streamdex_config::Arn;
use streamdex_mapping::{
    Address, Batch, Change, CreationTime, Fetch, ItemOrder, MapError, Mapped, Mapper, Operation, Outcome, Raised,
    RecordError, RecordMeta, Refusal, SequenceNumber, Trust,
};

use crate::letter::LetterKey;
use crate::proof::KeyProof;
use crate::screen::Seen;

/// The records of one page on their way. Pure: [`crate::delivery`] does what it asks for.
#[derive(Debug, Default)]
pub struct Page {
    pub(crate) batch: Batch,
    pub(crate) refused: Vec<RefusedRecord>,
    /// The logical indices that something was sent to.
    pub(crate) indices: BTreeSet<String>,
    /// The label of the stream of each run of records, for their dead letters.
    labels: Vec<(usize, Arc<str>)>,
    /// Records without a sequence number, by their digest, in order.
    digests: Vec<(usize, Arc<str>)>,
    order: ItemOrder,
    /// The first record whose key the configuration fits.
    fitting: Option<usize>,
    /// The first error that is the configuration's, unless other records prove that right.
    misfit: Option<MapError>,
}

/// The data of a record for its dead letter, kept as long as the record may become one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct LetterOrigin {
    /// The label of the stream that it came from.
    pub(crate) stream: Arc<str>,
    /// Of a record without a sequence number.
    digest: Option<Arc<str>>,
    pub(crate) meta: Arc<RecordMeta>,
}

/// A record that is a dead letter, which is still to be stored.
#[derive(Debug)]
pub(crate) struct RefusedRecord {
    pub(crate) record: usize,
    pub(crate) address: Option<Address>,
    pub(crate) reason: &'static str,
    pub(crate) error: String,
}

/// What a record comes to, without sending anything.
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

impl LetterOrigin {
    /// The identity of the record in its stream: its sequence number, else its digest.
    pub(crate) fn identity(&self) -> &str {
        let digest = self.digest.as_deref().unwrap_or_default();
        self.meta.sequence.as_ref().map_or(digest, SequenceNumber::as_str)
    }
}

impl RefusedRecord {
    pub(crate) fn of(record: usize, refusal: &Refusal) -> RefusedRecord {
        let (reason, error) = (refusal.error.name(), refusal.to_string());
        RefusedRecord { record, address: refusal.address.clone(), reason, error }
    }
}

impl Page {
    /// Maps one record and adds it; records are added in the order in which they came. When all are added,
    /// [`Page::check_keys`] tells whether anything of them may be sent.
    pub fn add(&mut self, mapper: &Mapper, record: Result<&Change<'_>, RecordError>, trust: Trust) {
        let record = match record {
            Ok(change) => return self.add_change(mapper, change, trust),
            Err(error) => error,
        };
        self.note_label(record.stream_arn.as_deref());
        if let Some(digest) = record.digest {
            self.digests.push((self.batch.len(), hex::encode(*digest).into()));
        }
        let meta = RecordMeta {
            sequence: record.sequence,
            created: record.created,
            keys: record.keys.map(String::from).unwrap_or_default(),
        };
        let (reason, error) = (record.reason.name(), record.reason.to_string());
        self.refuse(meta, None, RefusedRecord { record: 0, address: None, reason, error });
    }

    /// Checks whether the configuration fits the table's key. If a record of this page, or an earlier one of the table
    /// (`proof`), fits, then another record with other key attributes is itself at fault.
    ///
    /// # Errors
    /// No record fits: nothing of the page may be sent.
    pub fn check_keys(&self, proof: &KeyProof) -> Result<(), MapError> {
        if self.fitting.is_some() {
            proof.note();
        }
        match &self.misfit {
            Some(error) if !proof.is_given() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn add_change(&mut self, mapper: &Mapper, change: &Change<'_>, trust: Trust) {
        let record = self.batch.len();
        let keys = change.canonical_keys();
        self.note_label(change.stream_arn.as_deref());
        if self.fitting.is_none() && mapper.fits(&change.keys) {
            self.fitting = Some(record);
        }
        if change.sequence.is_none() {
            // The replay of its letter reads the item by its key, so one letter for a key and time is enough.
            let seconds = change.created.map_or(0, |created| created.seconds());
            self.digests.push((record, hex::encode(Sha256::digest(format!("{seconds} {keys}"))).into()));
        }
        let in_order = change.created.filter(|_| trust == Trust::InOrder);
        let raised = in_order.and_then(|created| self.order.take(record, &keys, created));
        let mapped = match raised {
            None => mapper.map(change, trust),
            Some(raised) => {
                let not_before = change.not_before.max(Some(raised.second));
                mapper.map(&Change { not_before, ..change.clone() }, trust)
            }
        };
        let meta = RecordMeta { sequence: change.sequence.clone(), created: change.created, keys };
        match mapped {
            Ok(mapped) => {
                self.batch.push(meta, mapped);
            }
            Err(refusal) => self.refuse_change(meta, *refusal),
        }
        if let Some(by) = raised.and_then(|raised| raised.by) {
            self.batch.hold(by, record);
        }
    }

    /// Adds a record that already has an outcome. It is not sent. Later records of its item get no earlier second.
    pub fn add_decided(&mut self, seen: &Seen<'_>, outcome: Outcome) {
        let meta = self.note(seen);
        self.take_its_second(&meta);
        self.batch.push(meta, Mapped::Nothing(outcome));
    }

    /// Adds a record that stays undecided. It is not sent. An earlier record whose second it would take is delivered
    /// again with it.
    pub fn add_postponed(&mut self, seen: &Seen<'_>) {
        let meta = self.note(seen);
        let raised = self.take_its_second(&meta);
        let record = self.batch.push_refused(meta, None);
        if let Some(by) = raised.and_then(|raised| raised.by) {
            self.batch.hold(by, record);
        }
    }

    /// Adds an item to read for no record of a stream, as in a repair; `created` is the time of the change that it is read
    /// for, if it is for one. Its dead letter is known by the item's key.
    pub fn add_read(&mut self, fetch: Fetch, created: Option<CreationTime>) {
        let keys = fetch.key.canonical().to_owned();
        self.digests.push((self.batch.len(), hex::encode(Sha256::digest(&keys)).into()));
        let meta = RecordMeta { sequence: None, created, keys };
        self.batch.push(meta, Mapped::Fetch { fetch, archive: None });
    }

    /// Adds an operation as it is, as the archive copy that a dead letter kept.
    pub fn add_operation(&mut self, meta: RecordMeta, operation: Operation) {
        self.digests.push((self.batch.len(), hex::encode(Sha256::digest(&meta.keys)).into()));
        self.batch.push(meta, Mapped::Operations(vec![operation]));
    }

    fn take_its_second(&mut self, meta: &RecordMeta) -> Option<Raised> {
        let created = meta.created.filter(|_| !meta.keys.is_empty())?;
        self.order.take(self.batch.len(), &meta.keys, created)
    }

    fn note(&mut self, seen: &Seen<'_>) -> RecordMeta {
        self.note_label(seen.stream_arn());
        RecordMeta { sequence: seen.sequence().cloned(), created: seen.created(), keys: seen.keys().into_owned() }
    }

    fn refuse_change(&mut self, meta: RecordMeta, refusal: Refusal) {
        let refused = RefusedRecord::of(self.batch.len(), &refusal);
        if refusal.error.is_configuration() {
            self.misfit.get_or_insert(refusal.error);
        }
        self.refuse(meta, refusal.sent, refused);
    }

    fn refuse(&mut self, meta: RecordMeta, sent: Option<Mapped>, refused: RefusedRecord) {
        let record = self.batch.push_refused(meta, sent);
        self.refused.push(RefusedRecord { record, ..refused });
    }

    fn note_label(&mut self, stream_arn: Option<&str>) {
        let stream = stream_arn.and_then(Arn::parse).and_then(Arn::stream);
        let label = stream.map_or(LetterKey::NO_STREAM, |(_, label)| label);
        if self.labels.last().is_none_or(|(_, last)| &**last != label) {
            self.labels.push((self.batch.len(), label.into()));
        }
    }

    /// What a dead letter of this record says of it.
    pub(crate) fn letter_origin(&self, record: usize) -> LetterOrigin {
        let meta = self.batch.shared_meta(record).unwrap_or_default();
        let label = self.labels.partition_point(|(first, _)| *first <= record).checked_sub(1);
        let label = label.and_then(|at| self.labels.get(at)).map(|(_, label)| Arc::clone(label));
        let digest = self.digests.binary_search_by_key(&record, |(at, _)| *at).ok();
        let digest = digest.and_then(|place| self.digests.get(place)).map(|(_, digest)| Arc::clone(digest));
        LetterOrigin { stream: label.unwrap_or_else(|| LetterKey::NO_STREAM.into()), digest, meta }
    }

    /// The operations that would be sent, in order, and the fate of each record. For display: nothing is decided.
    pub fn into_parts(mut self) -> (Vec<Operation>, Vec<Fate>) {
        let handles = self.batch.fetches();
        let fetched: Vec<usize> = handles.iter().filter_map(|handle| Some(self.batch.fetch(*handle)?.1)).collect();
        let operations = self.batch.take_operations().into_iter().map(|(_, operation)| operation).collect();
        let outcomes = self.batch.outcomes_unsent().into_iter();
        let mut fates: Vec<Fate> = outcomes.map(|outcome| outcome.map_or(Fate::Sent, Fate::Nothing)).collect();
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

    /// The key of a record that the configuration fits, as DynamoDB JSON.
    pub fn fitting_keys(&self) -> Option<&str> {
        self.batch.meta(self.fitting?).map(|meta| meta.keys.as_str())
    }

    /// The number of records that were created before an earlier record of the page. Versions assume that this does not
    /// happen for one item; inside a page the later record takes the larger second.
    pub fn steps_back(&self) -> u64 {
        self.order.steps_back()
    }

    /// The sequence numbers of the records, in order; `None` where a record has none that can be read.
    pub fn sequences(&self) -> impl Iterator<Item = Option<&SequenceNumber>> {
        (0..self.batch.len()).map(|record| self.batch.meta(record)?.sequence.as_ref())
    }

    /// What is kept of each record, in order.
    pub fn records(&self) -> impl Iterator<Item = &RecordMeta> {
        (0..self.batch.len()).filter_map(|record| self.batch.meta(record))
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
mod tests;
