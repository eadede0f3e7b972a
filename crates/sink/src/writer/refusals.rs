//! What refusals have taught about whole requests and about documents. Pure.

use std::collections::{HashMap, HashSet};

use streamdex_mapping::IndexName;

use super::held::LoneFault;
use super::suspicion::Suspicion;
use crate::scrub::Scrubbed;

/// Suspects whose callers never bring them back must not add up.
const MOST_SUSPECTS: usize = 10_000;
/// Requests refused whole with one operation, in a row, before it is not the operations' fault.
const LONE_REFUSALS: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Documents from reads that were part of a request refused whole, for when they come back. They are known by
    /// their hashes, which a writer with another seed cannot use.
    suspects: HashMap<u64, Suspicion>,
    /// Operations refused alone by requests refused whole, since a request was last accepted.
    lone: u32,
    accepted: Accepted,
    /// Refusals that concern all documents of an index, each reported once.
    alerted: HashSet<(IndexName, String)>,
}

/// The sizes of requests that were accepted, in bytes.
#[derive(Debug, Default)]
struct Accepted {
    smallest: Option<usize>,
    largest: Option<usize>,
    /// A size that was refused alone although a request as large was accepted before.
    contradicted: Option<usize>,
}

/// Who is to blame where a request with one operation is refused whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The operation, or all requests are refused: the next ones show it.
    Unknown,
    /// None: all requests are refused, so it is not the operations.
    AllRequests,
}

impl Refusals {
    /// An operation under suspicion goes back to its caller, who reads it again.
    pub(super) fn remember(&mut self, document: u64, suspicion: Suspicion) {
        if suspicion == Suspicion::NONE {
            return;
        }
        if self.suspects.len() >= MOST_SUSPECTS {
            self.suspects.clear();
        }
        self.suspects.insert(document, suspicion);
    }

    /// The suspicion under which a document that was read again went back.
    pub(super) fn recall(&mut self, document: u64) -> Option<Suspicion> {
        self.suspects.remove(&document)
    }

    /// A request of so many bytes was accepted, so not all of them are refused.
    pub(super) fn request_accepted(&mut self, bytes: usize) {
        self.lone = 0;
        self.accepted.smallest = Some(self.accepted.smallest.map_or(bytes, |smallest| smallest.min(bytes)));
        self.accepted.largest = self.accepted.largest.max(Some(bytes));
        self.accepted.contradicted = self.accepted.contradicted.filter(|size| bytes < *size);
    }

    /// A request of so many bytes with one operation was refused as too large. The second time in a row, what was accepted
    /// before says nothing any more: the limit has changed, or counts compressed bytes.
    pub(super) fn too_large_alone(&mut self, bytes: usize) {
        let accepted = &mut self.accepted;
        if accepted.largest.is_none_or(|largest| largest < bytes) {
            return;
        }
        if accepted.contradicted == Some(bytes) {
            accepted.largest = bytes.checked_sub(1);
            accepted.smallest = accepted.smallest.filter(|smallest| *smallest < bytes);
        }
        accepted.contradicted = Some(bytes);
    }

    /// A request with one operation was refused whole.
    pub(super) fn refused_alone(&mut self) -> Blame {
        self.lone = self.lone.saturating_add(1);
        if self.lone > LONE_REFUSALS { Blame::AllRequests } else { Blame::Unknown }
    }

    /// Whether what was accepted so far shows that an operation refused alone was refused for its own sake.
    pub(super) fn accepted_before(&self, fault: LoneFault) -> bool {
        match fault {
            LoneFault::Document => self.accepted.smallest.is_some(),
            LoneFault::Size(bytes) => {
                self.accepted.smallest.is_some_and(|smallest| smallest < bytes)
                    && self.accepted.largest.is_some_and(|largest| largest < bytes)
            }
        }
    }

    /// Whether a probe of `_bulk`, which is smaller than any operation, could show it.
    pub(super) fn needs_probe(&self, fault: LoneFault) -> bool {
        match fault {
            LoneFault::Document => self.accepted.smallest.is_none(),
            LoneFault::Size(bytes) => self.accepted.smallest.is_none_or(|smallest| smallest >= bytes),
        }
    }

    /// Whether a refusal concerns all documents of the index and has not been reported yet. It counts as reported.
    pub(super) fn is_new_alert(&mut self, index: &IndexName, error: &Scrubbed) -> bool {
        error.concerns_all() && self.alerted.insert((index.clone(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::suspicion::Suspect;

    const HALF: Suspicion = Suspicion { company: 2, of: Suspect::Operation, braked: false };

    #[test]
    fn a_suspect_is_recalled_once() {
        let mut refusals = Refusals::default();
        refusals.remember(1, HALF);
        refusals.remember(2, Suspicion::NONE);
        assert_eq!(refusals.recall(1), Some(HALF));
        assert_eq!(refusals.recall(1), None);
        assert_eq!(refusals.recall(2), None);
    }

    #[test]
    fn suspects_do_not_add_up() {
        let mut refusals = Refusals::default();
        (0..25_000).for_each(|document| refusals.remember(document, HALF));
        assert!(refusals.suspects.len() <= MOST_SUSPECTS);
        assert_eq!(refusals.recall(24_999), Some(HALF));
    }

    #[test]
    fn the_fourth_operation_refused_alone_in_a_row_is_not_to_blame() {
        let mut refusals = Refusals::default();
        assert!((0..3).all(|_| refusals.refused_alone() == Blame::Unknown));
        assert_eq!(refusals.refused_alone(), Blame::AllRequests);
        refusals.request_accepted(100);
        assert_eq!(refusals.refused_alone(), Blame::Unknown);
    }

    #[test]
    fn only_a_smaller_accepted_request_and_no_larger_one_shows_that_a_size_is_at_fault() {
        let mut refusals = Refusals::default();
        let (document, size) = (LoneFault::Document, LoneFault::Size);
        assert!(!refusals.accepted_before(document) && !refusals.accepted_before(size(1000)));
        assert!(refusals.needs_probe(document) && refusals.needs_probe(size(118)));
        refusals.request_accepted(500);
        assert!(refusals.accepted_before(document) && !refusals.needs_probe(document));
        assert!(refusals.needs_probe(size(118)) && !refusals.needs_probe(size(1000)));
        assert!(refusals.accepted_before(size(1000)) && !refusals.accepted_before(size(118)));
        refusals.request_accepted(2000);
        assert!(!refusals.accepted_before(size(1000)));
        // Until it is contradicted twice.
        refusals.too_large_alone(1000);
        assert!(!refusals.accepted_before(size(1000)));
        refusals.too_large_alone(1000);
        assert!(refusals.accepted_before(size(1000)));
    }
}
