//! Errors of an invocation. Their text reaches logs, the caller, and on-failure destinations.

use std::fmt;

use lambda_runtime::Diagnostic;
use streamdex_sink::ClientError;

use crate::event::EventError;

/// Why an invocation fails. A source mapping delivers the whole batch again.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InvocationError {
    /// The event cannot be taken.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The client of OpenSearch cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A task of the invocation ended in a panic.
    #[error("{0} broke")]
    Broken(&'static str),
    /// The records could not be read and mapped in time, and where they begin is not known.
    #[error("the records of the event could not be read before the invocation's deadline")]
    Slow,
    /// Records have no outcome, and a list of them would be read by nobody.
    #[error("{undecided} of {records} records have no outcome: {reason}")]
    Undecided {
        /// How many.
        undecided: usize,
        /// Of how many.
        records: usize,
        /// Why.
        reason: String,
        /// What to do, in one sentence.
        hint: String,
    },
    /// Records have no outcome, and no sequence number can be named without losing one of them.
    #[error("{undecided} of {records} records have no outcome, and no restart position can be named: {reason}")]
    Unnamed {
        /// How many.
        undecided: usize,
        /// Of how many.
        records: usize,
        /// Why.
        reason: String,
        /// What to do, in one sentence.
        hint: String,
    },
}

/// What to do where the mapping of records takes too long.
pub(crate) const MORE_PROCESSOR: &str = "give the function more memory (and so more CPU) or more time, or reduce the batch size of the event source mapping";

// === impl InvocationError ===

impl InvocationError {
    /// A word for the kind of error.
    pub fn name(&self) -> &'static str {
        match self {
            InvocationError::Event(error) => error.name(),
            InvocationError::Client(_) => "OpenSearchClient",
            InvocationError::Broken(_) => "Broken",
            InvocationError::Slow => "Slow",
            InvocationError::Undecided { .. } | InvocationError::Unnamed { .. } => "Undecided",
        }
    }

    /// What to do, in one sentence.
    pub fn hint(&self) -> &str {
        match self {
            InvocationError::Event(error) => error.hint(),
            InvocationError::Client(error) => error.hint(),
            InvocationError::Broken(_) => "this is a bug in streamdex: please report it with the log",
            InvocationError::Slow => MORE_PROCESSOR,
            InvocationError::Undecided { hint, .. } | InvocationError::Unnamed { hint, .. } => hint,
        }
    }
}

/// The runtime writes an error as it shows itself for debugging.
impl fmt::Debug for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.hint())
    }
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Diagnostic {
        Diagnostic {
            error_type: format!("Streamdex.{}", error.name()),
            error_message: format!("{error} (hint: {})", error.hint()),
        }
    }
}
