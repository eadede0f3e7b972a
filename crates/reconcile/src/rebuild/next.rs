//! Decides the next step of a rebuild. Pure.

use std::time::Duration;

use streamdex_delivery::backfill::{BackfillRecord, BackfillState, FilledBy};
use streamdex_delivery::rebuild::RebuildPhase;

/// What is known of the group that fills the next generation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// How far its index is filled and compared; `None` where nobody has decided that yet.
    pub backfill: Option<BackfillRecord>,
    /// How many gaps of it are open.
    pub gaps: usize,
    /// Whether items are refused by the next mapping, so that their documents are missing.
    pub has_letters: bool,
    /// How far behind its reader is, where that is known.
    pub lag: Option<Duration>,
}

/// What has to be so before searches move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// How far behind a reader may be.
    pub max_lag: Duration,
    /// Searches move although items are refused.
    pub accept_dead_letters: bool,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// All items are to be compared with their documents: so it is recorded, and the reader of the stream does it.
    Compare,
    /// The next phase is stored.
    Enter(RebuildPhase),
    /// Nothing can be done before something else has happened.
    Wait(Waiting),
}

/// What a rebuild waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Waiting {
    /// The index is filled, or compared where `after_gap` says so.
    Filled(BackfillRecord),
    /// Differences stayed, or somebody fills by hand: a person decides.
    Person,
    /// Changes were lost.
    Gaps(usize),
    /// Items are refused, and nobody has said that this is accepted.
    Letters,
    /// The reader is too far behind, or nobody knows how far.
    Lag(Option<Duration>),
}

/// What is done next while the next generation is filled.
pub(super) fn filling(seen: &Seen) -> Next {
    if seen.gaps > 0 {
        return Next::Wait(Waiting::Gaps(seen.gaps));
    }
    let Some(record) = &seen.backfill else { return Next::Compare };
    match (record.state, record.by) {
        (BackfillState::Complete, _) if record.after_gap => Next::Enter(RebuildPhase::Equal),
        // What was filled was not compared with anything.
        (BackfillState::Complete, _) => Next::Compare,
        (BackfillState::Running, FilledBy::Run) => Next::Wait(Waiting::Filled(record.clone())),
        (BackfillState::Running, _) if record.owner.is_some() || record.after_gap => Next::Wait(Waiting::Person),
        // `run` left it, since the table has more items than it fills unasked.
        (BackfillState::Running, _) => Next::Compare,
    }
}

/// What is done next when it was equal once.
pub(super) fn equal(seen: &Seen, conditions: Conditions) -> Next {
    let is_still = |record: &BackfillRecord| record.state == BackfillState::Complete && record.after_gap;
    if !seen.backfill.as_ref().is_some_and(is_still) {
        return Next::Enter(RebuildPhase::Filling);
    }
    if seen.gaps > 0 {
        return Next::Wait(Waiting::Gaps(seen.gaps));
    }
    if seen.has_letters && !conditions.accept_dead_letters {
        return Next::Wait(Waiting::Letters);
    }
    match seen.lag {
        Some(lag) if lag <= conditions.max_lag => Next::Enter(RebuildPhase::Moving),
        lag => Next::Wait(Waiting::Lag(lag)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(backfill: Option<BackfillRecord>) -> Seen {
        Seen { backfill, gaps: 0, has_letters: false, lag: Some(Duration::ZERO) }
    }

    #[test]
    fn n1_readers_move_to_what_was_compared_and_never_before() {
        let compared = BackfillRecord::after_gap(FilledBy::Run, 7).completed((5, 0), 9);
        let filled = BackfillRecord::new(FilledBy::Run, 1, 5, 7).completed((5, 0), 9);
        let by_hand = BackfillRecord::new(FilledBy::Command, 1, 5, 7);
        let rows = [
            (None, Next::Compare),
            (Some(compared.clone()), Next::Enter(RebuildPhase::Equal)),
            (Some(filled.clone()), Next::Compare),
            (Some(BackfillRecord::of_stream(7)), Next::Compare),
            (Some(by_hand.clone()), Next::Compare),
            (Some(BackfillRecord { owner: Some("w".into()), ..by_hand.clone() }), Next::Wait(Waiting::Person)),
            (Some(BackfillRecord::after_gap(FilledBy::Command, 7)), Next::Wait(Waiting::Person)),
        ];
        for (record, expected) in rows {
            assert_eq!(filling(&seen(record.clone())), expected, "{record:?}");
        }
        let running = BackfillRecord::after_gap(FilledBy::Run, 7);
        assert_eq!(filling(&seen(Some(running.clone()))), Next::Wait(Waiting::Filled(running.clone())));

        let gapped = Seen { gaps: 1, ..seen(Some(running.clone())) };
        assert_eq!(filling(&gapped), Next::Wait(Waiting::Gaps(1)), "nothing is compared before it is closed");

        let conditions = Conditions { max_lag: Duration::from_secs(60), accept_dead_letters: false };
        let whole = seen(Some(compared));
        assert_eq!(equal(&whole, conditions), Next::Enter(RebuildPhase::Moving));
        for record in [None, Some(filled), Some(running)] {
            assert_eq!(equal(&seen(record), conditions), Next::Enter(RebuildPhase::Filling));
        }
        let late = Some(Duration::from_secs(61));
        assert_eq!(equal(&Seen { lag: late, ..whole.clone() }, conditions), Next::Wait(Waiting::Lag(late)));
        assert_eq!(equal(&Seen { lag: None, ..whole.clone() }, conditions), Next::Wait(Waiting::Lag(None)));
        assert_eq!(equal(&Seen { gaps: 2, ..whole.clone() }, conditions), Next::Wait(Waiting::Gaps(2)));
        let refused = Seen { has_letters: true, ..whole };
        assert_eq!(equal(&refused, conditions), Next::Wait(Waiting::Letters));
        let accepting = Conditions { accept_dead_letters: true, ..conditions };
        assert_eq!(equal(&refused, accepting), Next::Enter(RebuildPhase::Moving));
    }
}
