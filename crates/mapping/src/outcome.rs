//! The outcome of a record, and counts of outcomes.

use std::ops::AddAssign;

use serde::Serialize;

/// What became of a record that was read. Every record ends in exactly one of these.
///
/// The order is the order of precedence: a record of several operations takes the first (the smallest)
/// of its operations' outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It cannot ever succeed; it is listed with its address and the reason.
    DeadLettered,
    /// Written to, or deleted from, the index.
    Applied,
    /// The index already holds a newer version (409).
    Superseded,
    /// A delete of a document that is not there (404).
    Absent,
    /// A later operation on the same document in the same batch was sent in its place.
    Coalesced,
    /// Old and new image give the same address and the same document, so nothing was sent.
    Unchanged,
    /// Neither image has an address: no route takes them.
    Filtered,
}

impl Outcome {
    /// All outcomes, in order of precedence.
    pub const ALL: [Outcome; 7] = [
        Outcome::DeadLettered,
        Outcome::Applied,
        Outcome::Superseded,
        Outcome::Absent,
        Outcome::Coalesced,
        Outcome::Unchanged,
        Outcome::Filtered,
    ];

    /// The name used in summaries, metrics and JSON, as `dead_lettered`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::DeadLettered => "dead_lettered",
            Outcome::Applied => "applied",
            Outcome::Superseded => "superseded",
            Outcome::Absent => "absent",
            Outcome::Coalesced => "coalesced",
            Outcome::Unchanged => "unchanged",
            Outcome::Filtered => "filtered",
        }
    }
}

/// How many records ended in each outcome.
///
/// Invariant: [`Tally::records`] is the sum of all outcomes, since that is how it is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records written to, or deleted from, the index.
    pub applied: u64,
    /// Records that were older than what the index holds.
    pub superseded: u64,
    /// Deletes of documents that were not there.
    pub absent: u64,
    /// Records that a later one of the same batch replaces.
    pub coalesced: u64,
    /// Records whose images give the same document.
    pub unchanged: u64,
    /// Records that no route takes.
    pub filtered: u64,
    /// Records that can never succeed, listed as dead letters.
    pub dead_lettered: u64,
}

impl Tally {
    /// Counts one record.
    pub fn add(&mut self, outcome: Outcome) {
        *self.slot(outcome) += 1;
    }

    /// How many records ended in `outcome`.
    pub fn get(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::DeadLettered => self.dead_lettered,
            Outcome::Applied => self.applied,
            Outcome::Superseded => self.superseded,
            Outcome::Absent => self.absent,
            Outcome::Coalesced => self.coalesced,
            Outcome::Unchanged => self.unchanged,
            Outcome::Filtered => self.filtered,
        }
    }

    /// All records counted: the sum of the outcomes.
    pub fn records(&self) -> u64 {
        Outcome::ALL.iter().map(|outcome| self.get(*outcome)).sum()
    }

    fn slot(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::DeadLettered => &mut self.dead_lettered,
            Outcome::Applied => &mut self.applied,
            Outcome::Superseded => &mut self.superseded,
            Outcome::Absent => &mut self.absent,
            Outcome::Coalesced => &mut self.coalesced,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Filtered => &mut self.filtered,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        for outcome in Outcome::ALL {
            *self.slot(outcome) += other.get(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_several_operations_takes_the_first_outcome_in_order() {
        let of_operations = [Outcome::Absent, Outcome::Applied, Outcome::Coalesced];
        assert_eq!(of_operations.into_iter().min(), Some(Outcome::Applied));
        assert!(Outcome::ALL.is_sorted());
    }

    #[test]
    fn records_is_the_sum_of_the_outcomes() {
        let mut tally = Tally::default();
        for outcome in Outcome::ALL {
            tally.add(outcome);
            assert_eq!(tally.get(outcome), 1);
        }
        tally += tally;
        assert_eq!(tally.records(), 14);
    }
}
