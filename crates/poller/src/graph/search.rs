//! The progress of the search for the children of a drained shard. Pure.

use std::time::Duration;

use super::command::Until;

/// How far the search for the children of a shard has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) attempts: u32,
    /// Answers that held a child.
    pub(super) found: u32,
    /// The shard is being noted as done.
    pub(super) noted: bool,
}

/// A split makes two children, and one answer may show only one of them.
const CONFIRMATIONS: u32 = 3;
/// After this many fruitless questions (over 2 s) a closed shard is taken for the last one.
const LAST_SEARCH: u32 = 5;

/// After this many fruitless questions (some 10 s) the stream may be switched off, which a listing tells.
pub(super) const ASK_FOR_A_LISTING: u32 = 14;

/// The delay before the next request for children. A child appears within seconds, so during the first minutes there is
/// up to one call per second: the pause at a roll-over stays below that.
pub fn seek_delay(attempt: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(250);
    const MOST: Duration = Duration::from_millis(800);
    const LATER: Duration = Duration::from_secs(5);
    /// By now the stream is switched off, more likely than not.
    const RARELY: Duration = Duration::from_secs(30);
    match attempt {
        0 => Duration::ZERO,
        1..150 => FIRST.saturating_mul(2u32.saturating_pow(attempt - 1)).min(MOST),
        150..200 => LATER,
        _ => RARELY,
    }
}

impl Search {
    /// Whether so many answers agree that no other child is to be expected.
    pub(super) fn is_complete(self) -> bool {
        self.found >= CONFIRMATIONS
    }

    /// Whether asking again is of no use.
    pub(super) fn is_over(self, until: Until) -> bool {
        let given_up = until == Until::PresentEnd && self.found == 0 && self.attempts >= LAST_SEARCH;
        given_up || self.is_complete()
    }
}
