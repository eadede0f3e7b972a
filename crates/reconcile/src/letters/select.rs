//! Selects letters. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use streamdex_delivery::letter::{DeadLetter, LetterKey};

/// Which letters are meant: all of what is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These keys; all, where there is none.
    pub keys: BTreeSet<LetterKey>,
    /// With this reason.
    pub reason: Option<String>,
    /// For this logical index.
    pub index: Option<String>,
    /// Written at least so long ago.
    pub older_than: Option<Duration>,
    /// Of this table.
    pub table: Option<String>,
}

// === impl Selection ===

impl Selection {
    /// Whether nothing is given, so that all letters are meant.
    pub fn is_all(&self) -> bool {
        *self == Selection::default()
    }

    /// Whether a letter is meant; `now` in seconds since 1970.
    pub fn takes(&self, letter: &DeadLetter, now: u64) -> bool {
        let index = letter.address.as_ref().map(|address| address.index.as_str());
        let age = Duration::from_secs(now.saturating_sub(letter.at));
        (self.keys.is_empty() || self.keys.contains(&letter.key))
            && self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.index.as_deref().is_none_or(|wanted| index == Some(wanted))
            && self.older_than.is_none_or(|least| age >= least)
            && self.table.as_ref().is_none_or(|table| *table == letter.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::fate::tests::letter;

    #[test]
    fn all_that_is_given_must_hold() {
        let letter = letter();
        let now = letter.at + 60;
        let takes = |selection: Selection| selection.takes(&letter, now);
        assert!(takes(Selection::default()) && Selection::default().is_all());
        let right = Selection {
            keys: [letter.key.clone()].into(),
            reason: Some(letter.reason.clone()),
            index: Some("sessions".into()),
            older_than: Some(Duration::from_secs(60)),
            table: Some("sessions".into()),
        };
        assert!(takes(right.clone()) && !right.is_all());
        let other = LetterKey { ordinal: 9, ..letter.key.clone() };
        for wrong in [
            Selection { keys: [other].into(), ..right.clone() },
            Selection { reason: Some("another".into()), ..right.clone() },
            Selection { index: Some("another".into()), ..right.clone() },
            Selection { table: Some("another".into()), ..right.clone() },
            Selection { older_than: Some(Duration::from_secs(61)), ..right },
        ] {
            assert!(!takes(wrong));
        }
    }
}
