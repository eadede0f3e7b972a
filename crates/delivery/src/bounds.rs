//! The limits of the delivery of a page.

use std::sync::Arc;

use streamdex_sink::Permit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt::Term;

/// The limits of the delivery of a page.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Nothing is read or written any more when this is cancelled.
    pub cancel: CancellationToken,
    /// No dead letter is stored any more when this is cancelled, and delivery returns. Where it comes later than `cancel`,
    /// what was refused last is stored too.
    pub storing: CancellationToken,
    /// The deadline of the whole work, if known. One call gets a share of the time that is left.
    pub until: Option<Instant>,
    /// Nothing is written without it, where there is one.
    pub permit: Option<Arc<dyn Permit>>,
}

// === impl Bounds ===

impl From<CancellationToken> for Bounds {
    fn from(cancel: CancellationToken) -> Bounds {
        Bounds { storing: cancel.clone(), cancel, until: None, permit: None }
    }
}

impl Bounds {
    /// The time in which something is read or written.
    pub fn working(&self) -> Term<'_> {
        Term { cancel: &self.cancel, until: self.until }
    }

    pub(crate) fn storing(&self) -> Term<'_> {
        Term { cancel: &self.storing, until: self.until }
    }
}
