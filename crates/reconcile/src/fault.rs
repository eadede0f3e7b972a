//! Errors that stop a job.

use std::io;

use streamdex_delivery::DeliveryFault;
use streamdex_dynamodb::state::StateError;

/// Why a job stopped before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A service did not answer, or refused.
    #[error(transparent)]
    Delivery(#[from] DeliveryFault),
    /// A temporary file cannot be written or read.
    #[error("temporary file: {0}")]
    Disk(#[from] io::Error),
    /// The state table refused, or did not answer.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record is not what this process has read or stored last.
    #[error("another process changed the record in the state table: it has taken over, or a gap was closed")]
    Taken,
    /// The aliases of a rebuild keep changing.
    #[error("the aliases keep changing: each check found them elsewhere")]
    Unsettled,
    /// A task broke; this is a defect.
    #[error("a task broke")]
    Broken,
}

// === impl Fault ===

impl Fault {
    /// What to do about it, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Fault::Delivery(fault) => fault.hint(),
            Fault::Disk(_) => {
                "check that the folder for temporary files has room, or name another one in TMPDIR".to_owned()
            }
            Fault::State(error) => error.hint(),
            Fault::Taken => "`streamdex status` shows which process is at work; run the command again".to_owned(),
            Fault::Unsettled => "make sure that nothing else moves these aliases; the rebuild tries again".to_owned(),
            Fault::Broken => "run the command again, and report it with the log".to_owned(),
        }
    }

    /// Whether it was only asked to stop.
    pub fn is_stop(&self) -> bool {
        matches!(self, Fault::Delivery(DeliveryFault::Cancelled(None)))
    }
}
