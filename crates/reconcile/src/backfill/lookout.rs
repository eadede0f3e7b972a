//! Lets the reader of the stream notice a backfill, in this process or another one.

use std::time::Duration;

use streamdex_delivery::backfill::{BackfillRecord, BackfillState};

/// Whoever reads the stream looks this often. Who begins to fill waits until every reader has looked.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Knows whether a process fills the table now.
///
/// During a backfill the reader repeats its deletes a minute later. A page that was read before the delete may be
/// written after it, and if the index has forgotten the delete, the document comes back. Within a minute such a page is
/// written, or its items are read again.
#[derive(Debug, Default)]
pub struct Lookout {
    beat: Option<u64>,
}

impl Lookout {
    /// Whether somebody fills, as the record of this moment and of the look before tell.
    pub fn sees(&mut self, record: Option<&BackfillRecord>) -> bool {
        let beat = record.map(|record| record.beat);
        let has_moved = std::mem::replace(&mut self.beat, beat) != beat;
        record.is_some_and(|record| {
            // The last write of a backfill that has ended names nobody.
            has_moved || record.state == BackfillState::Running && record.owner.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use streamdex_delivery::backfill::FilledBy;

    use super::*;

    #[test]
    fn somebody_fills_while_the_record_is_owned_or_moves() {
        let mut lookout = Lookout::default();
        let record = |beat, owner: Option<&str>| {
            let record = BackfillRecord::new(FilledBy::Command, 2, 0, 7);
            BackfillRecord { beat, owner: owner.map(str::to_owned), ..record }
        };
        assert!(!lookout.sees(None));
        for (beat, owner, fills) in
            [(1, Some("w"), true), (1, Some("w"), true), (3, None, true), (3, None, false), (4, Some("v"), true)]
        {
            assert_eq!(lookout.sees(Some(&record(beat, owner))), fills, "{beat} {owner:?}");
        }
        let done = BackfillRecord { state: BackfillState::Complete, ..record(5, None) };
        assert_eq!([lookout.sees(Some(&done)), lookout.sees(Some(&done)), lookout.sees(None)], [true, false, false]);
    }
}
