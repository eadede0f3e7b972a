//! The decision of a writer on each operation.

use std::sync::Arc;
use std::time::Duration;

use streamdex_mapping::{IndexName, Outcome};

use crate::encode::Unsendable;
use crate::pause::Pause;
use crate::scrub::Scrubbed;

/// What became of one operation.
#[derive(Debug, Clone)]
pub enum Decision {
    /// It is decided: applied, superseded or absent.
    Done(Outcome),
    /// It can never be accepted. The caller lists it as a dead letter.
    Refused(Refusal),
    /// An operation from a read whose answer was not final, or that is too old to be sent. The caller reads
    /// the item again.
    ReadAgain,
    /// Not decided; the writer stopped trying. Whether it was applied is unknown.
    Stopped(Arc<Fault>),
}

/// Why an operation can never be accepted. Holds no value of the document and no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer; `None` where the operation was not sent.
    pub status: Option<u16>,
    /// The error's type, as `mapper_parsing_exception`, or `document_too_large`.
    pub error_type: String,
    /// A sentence.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// Why the writer stopped trying.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The writer was cancelled, or the caller did not wait for the answer.
    #[error("stopped before the operation was decided")]
    Cancelled,
    /// The index was there when it was set up, and is not there now.
    #[error("index {index} ({concrete}) no longer exists")]
    IndexMissing {
        /// The logical name.
        index: IndexName,
        /// The name that was written to.
        concrete: Arc<str>,
    },
    /// The caller has not set the index up.
    #[error("index {0} has not been set up")]
    NotSetUp(IndexName),
    /// A one-shot command met a state that lasts.
    #[error("gave up: {0}")]
    Paused(Pause),
    /// A one-shot command saw nothing decided for too long.
    #[error("no operation was decided for {} s{}", after.as_secs(), last_error.as_deref().map(|text| format!("; last answer: {text}")).unwrap_or_default())]
    NoProgress {
        /// How long it waited.
        after: Duration,
        /// What was answered last, scrubbed.
        last_error: Option<String>,
    },
    /// It was refused, and nothing shows whose fault that is.
    #[error(
        "index {index} refused {refused} documents in a row and accepted none, so either the index or the documents are at fault; last error: {error}"
    )]
    Undecided {
        /// The logical name.
        index: IndexName,
        /// How many documents.
        refused: usize,
        /// The last refusal, scrubbed.
        error: String,
    },
    /// A task of the writer ended in a panic; this is a defect.
    #[error("a task of the writer failed")]
    Broken,
}

// === impl ===

impl Decision {
    /// The outcome of a decided operation; a refused one is for the dead letters.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Decision::Done(outcome) => Some(*outcome),
            Decision::Refused(_) => Some(Outcome::DeadLettered),
            Decision::ReadAgain | Decision::Stopped(_) => None,
        }
    }

    pub(crate) fn cancelled() -> Decision {
        Decision::Stopped(Arc::new(Fault::Cancelled))
    }
}

impl Refusal {
    /// From an answer of OpenSearch.
    pub(crate) fn answered(status: u16, error: &Scrubbed) -> Refusal {
        let message =
            error.detail.as_ref().map_or_else(|| "OpenSearch refuses the document".to_owned(), ToString::to_string);
        Refusal { status: Some(status), error_type: error.error_type.clone(), message, hint: error.hint() }
    }

    /// A request with this operation alone is refused by something before OpenSearch.
    pub(crate) fn by_proxy(status: u16) -> Refusal {
        Refusal {
            status: Some(status),
            error_type: format!("http_{status}"),
            message: format!(
                "a proxy or firewall in front of OpenSearch answers {status} to this document, but accepts others"
            ),
            hint: "check the rules of the firewall or proxy in front of OpenSearch",
        }
    }

    /// A document that is too large even alone.
    pub(crate) fn too_large(bytes: usize) -> Refusal {
        Refusal {
            status: Some(413),
            error_type: "document_too_large".to_owned(),
            message: format!(
                "the document has {bytes} bytes with its action, too many for the server even in a request of its own"
            ),
            hint: "raise http.max_content_length or the proxy's limit, or leave large attributes out with `exclude`",
        }
    }
}

impl From<&Unsendable> for Refusal {
    fn from(problem: &Unsendable) -> Refusal {
        Refusal {
            status: None,
            error_type: problem.name().to_owned(),
            message: problem.to_string(),
            hint: match problem {
                Unsendable::Id(_) => "use id_form = \"hash\" in the route",
                Unsendable::TooLarge { .. } => "leave large attributes out with `exclude`",
                Unsendable::Version | Unsendable::Empty => "this should not happen; please report it",
            },
        }
    }
}

impl Fault {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Fault::Cancelled => "nothing: the next start continues from the last checkpoint",
            Fault::IndexMissing { .. } => crate::classify::PauseReason::IndexMissing.hint(),
            Fault::NotSetUp(_) => "run `streamdex index apply`",
            Fault::Paused(pause) => pause.hint(),
            Fault::NoProgress { .. } => {
                "check the health and load of the cluster, and run the command again; finished work is kept"
            }
            Fault::Undecided { .. } => {
                "nothing, if the index is right: they become dead letters once it accepts another document, or after a minute. Otherwise check the error: a missing pipeline or an alias without a write index refuses every document"
            }
            Fault::Broken => "please report this with the log; running it again is safe",
        }
    }
}
