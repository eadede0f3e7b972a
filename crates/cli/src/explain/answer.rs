//! The findings about an item.

use std::time::Duration;

use streamdex_reconcile::explain::Explained;
use streamdex_reconcile::verdict::Verdict;

use super::sentence::sentence;
use crate::exit::Exit;

/// An item as it is, and how far behind the index may be.
pub(super) struct Answer {
    pub(super) explained: Explained,
    /// Verdict::Pending where the reader has not come to the difference.
    pub(super) verdict: Verdict,
    pub(super) lag: Option<Duration>,
}

// === impl Answer ===

impl Answer {
    /// What is true, and what helps.
    pub(super) fn sentence(&self) -> String {
        sentence(&self.explained, self.verdict, self.lag.is_some())
    }

    /// 0 where nothing is wrong with the index: a document that no item stands behind is.
    pub(super) fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::InSync | Verdict::Filtered | Verdict::Expired => Exit::Done,
            Verdict::NotInTable if !self.explained.differs() => Exit::Done,
            _ => Exit::DeadLetters,
        }
    }
}
