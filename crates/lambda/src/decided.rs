//! Remembers the outcomes of records that are delivered again because an earlier record was undecided. Pure except for
//! a lock.
//!
//! An event source mapping delivers everything from the first undecided record on again, and with it records that were
//! written already. Their outcome stays: versions only grow, so what was written since is newer. So nothing of
//! them is sent again. A forgotten record is sent again, which does no harm.
//!
//! An item with an undecided change is an exception: all its later changes are sent with it again, in their order.
//! Otherwise an older operation of the item could arrive alone, after a later delete that the index has forgotten.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamdex_delivery::screen::Seen;
use streamdex_mapping::{CreationTime, Outcome, RecordMeta, SequenceNumber};

/// The outcomes of records that are to come again, of one sandbox. Bounded: the oldest are forgotten.
#[derive(Debug, Default)]
pub struct Decided(Mutex<Generations>);

/// A record, as it is known when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its place in the shard; `None` where it cannot be read, so that it is not known again.
    pub sequence: Option<SequenceNumber>,
    /// Of its key and time: an emulator may use a number twice.
    digest: u64,
    /// Of its key.
    item: u64,
}

/// Twice as many records as a batch can have, at most: what was noted last is in one of the two.
const GENERATION: usize = 10_000;

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Known, Entry>,
    old: HashMap<Known, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Known {
    stream: Arc<str>,
    sequence: Box<str>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    digest: u64,
    outcome: Outcome,
}

// === impl Decided ===

impl Decided {
    /// The outcome of a record that was decided before.
    pub fn outcome(&self, record: &Seen<'_>) -> Option<Outcome> {
        let generations = self.lock();
        if generations.is_empty() {
            return None;
        }
        let (Some(stream), Some(sequence)) = (record.stream_arn(), record.sequence()) else { return None };
        let known = Known { stream: stream.into(), sequence: sequence.as_str().into() };
        let entry = generations.get(&known)?;
        (entry.digest == digest(&record.keys(), record.created())).then_some(entry.outcome)
    }

    /// Notes what became of a batch of `stream`: what was decided behind the first undecided record comes again. A number
    /// that two records of the batch have says nothing. Where all is decided, nothing comes again.
    pub fn note<'r>(&self, stream: &str, records: impl Iterator<Item = (&'r Identity, Option<Outcome>)>) {
        let stream: Arc<str> = stream.into();
        let (mut behind, mut seen) = (false, HashMap::<Known, Option<Entry>>::new());
        // Items with an undecided change.
        let mut open = HashSet::new();
        let mut generations = self.lock();
        for (identity, outcome) in records {
            behind |= outcome.is_none();
            if outcome.is_none() {
                open.insert(identity.item);
            }
            let Some(sequence) = &identity.sequence else { continue };
            let known = Known { stream: Arc::clone(&stream), sequence: sequence.as_str().into() };
            generations.remove(&known);
            let entry = outcome
                .filter(|_| behind && !open.contains(&identity.item))
                .map(|outcome| Entry { digest: identity.digest, outcome });
            seen.entry(known).and_modify(|twice| *twice = None).or_insert(entry);
        }
        for (known, entry) in seen {
            if let Some(entry) = entry {
                generations.insert(known, entry);
            }
        }
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Forgets everything: what is to be sent again has to be sent again.
    pub fn clear(&self) {
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Identity ===

impl From<&RecordMeta> for Identity {
    fn from(meta: &RecordMeta) -> Identity {
        let item = item_hash(&meta.keys);
        Identity { sequence: meta.sequence.clone(), digest: digest(&meta.keys, meta.created), item }
    }
}

/// Of an item's key.
pub(crate) fn item_hash(keys: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    keys.hash(&mut hasher);
    hasher.finish()
}

fn digest(keys: &str, created: Option<CreationTime>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (keys, created.map(CreationTime::seconds)).hash(&mut hasher);
    hasher.finish()
}

// === impl Generations ===

impl Generations {
    fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    fn get(&self, known: &Known) -> Option<Entry> {
        self.young.get(known).or_else(|| self.old.get(known)).copied()
    }

    fn remove(&mut self, known: &Known) {
        self.young.remove(known);
        self.old.remove(known);
    }

    fn insert(&mut self, known: Known, entry: Entry) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(known, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(number: &str) -> Identity {
        let sequence = SequenceNumber::parse(number).ok();
        Identity::from(&RecordMeta { sequence, created: None, keys: number.to_owned() })
    }

    /// `7` applied, `7!` undecided; `?` has no number.
    fn note(decided: &Decided, stream: &str, text: &str) {
        let batch: Vec<_> = text
            .split_whitespace()
            .map(|word| (identity(word.trim_end_matches('!')), (!word.ends_with('!')).then_some(Outcome::Applied)))
            .collect();
        decided.note(stream, batch.iter().map(|(identity, outcome)| (identity, *outcome)));
    }

    fn known(decided: &Decided, stream: &str) -> Vec<String> {
        let generations = decided.lock();
        let all = generations.young.keys().chain(generations.old.keys());
        let mut numbers: Vec<_> =
            all.filter(|known| &*known.stream == stream).map(|known| known.sequence.to_string()).collect();
        numbers.sort();
        numbers
    }

    #[test]
    fn r5_what_is_behind_the_first_undecided_record_is_remembered() {
        let rows: [(&str, &[&str]); 8] = [
            ("1 2 3", &[]),
            ("1 2! 3 4", &["3", "4"]),
            ("1! 2 3! 4", &["2", "4"]),
            ("1 2 3!", &[]),
            ("1 ?! 3", &["3"]),
            ("1! ? 3", &["3"]),
            // which of the two was decided is not known
            ("1! 4 4!", &[]),
            ("1! 4 4", &[]),
        ];
        for (text, expected) in rows {
            let decided = Decided::default();
            note(&decided, "a", text);
            assert_eq!(known(&decided, "a"), expected, "{text}");
        }
    }

    #[test]
    fn r5_later_changes_of_an_item_with_an_undecided_one_come_with_it() {
        let record = |number: &str, keys: &str| {
            let sequence = SequenceNumber::parse(number).ok();
            Identity::from(&RecordMeta { sequence, created: None, keys: keys.to_owned() })
        };
        let batch = [
            (record("1", "x"), Some(Outcome::Applied)),
            (record("2", "x"), None),
            (record("3", "y"), Some(Outcome::Applied)),
            (record("4", "x"), Some(Outcome::Applied)),
        ];
        let decided = Decided::default();
        decided.note("a", batch.iter().map(|(identity, outcome)| (identity, *outcome)));
        assert_eq!(known(&decided, "a"), ["3"]);
    }

    #[test]
    fn r5_what_is_done_is_forgotten_and_the_rest_is_bounded() {
        let decided = Decided::default();
        note(&decided, "a", "1! 2 3");
        note(&decided, "b", "1! 2");
        note(&decided, "a", "1 2 3!");
        assert_eq!((known(&decided, "a"), known(&decided, "b")), (vec![], vec!["2".to_owned()]));
        for batch in 0..5 {
            let text: Vec<String> = (0..9_000).map(|n| format!("{}", batch * 10_000 + n)).collect();
            note(&decided, "c", &format!("999999! {}", text.join(" ")));
        }
        let kept = known(&decided, "c").len();
        assert!((9_000..=2 * GENERATION).contains(&kept), "{kept}");
        decided.clear();
        assert!(decided.lock().is_empty());
    }
}
