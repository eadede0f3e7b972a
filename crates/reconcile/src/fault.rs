//! Why a job stopped.

use std::io;

use streamdex_delivery::DeliveryFault;

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
            Fault::Broken => "run the command again, and report it with the log".to_owned(),
        }
    }

    /// Whether it was only asked to stop.
    pub fn is_stop(&self) -> bool {
        matches!(self, Fault::Delivery(DeliveryFault::Cancelled(None)))
    }
}
