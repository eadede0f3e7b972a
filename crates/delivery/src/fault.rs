//! Errors of a delivery: the cause, whether a retry helps, and the remedy.

use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::AwsError;
use streamdex_mapping::MapError;
use streamdex_sink::index::{SetupError, SetupErrorKind};
use streamdex_sink::writer::{Fault as WriterFault, Patience};

use crate::letter::LetterError;

/// Why a delivery stopped before every record had an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryFault {
    /// The writer stopped.
    #[error(transparent)]
    Writer(Arc<WriterFault>),
    /// An index could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// An item could not be read.
    #[error(transparent)]
    Read(#[from] AwsError),
    /// Dead letters could not be stored.
    #[error(transparent)]
    Letters(#[from] LetterError),
    /// The configuration does not fit the table.
    #[error(transparent)]
    Configuration(#[from] MapError),
    /// A record needs its item, and no call to the table may be made.
    #[error("a record does not contain the item, so the item has to be read from the table")]
    NoReader,
    /// Items are read and written again and again, and no answer is final.
    #[error("OpenSearch gave no final answer for {} s", .0.as_secs())]
    NoProgress(Duration),
    /// A task broke; this is a defect.
    #[error("a task of the delivery failed")]
    Broken,
    /// A call was not answered within its share of the time.
    #[error("cannot {what}: no answer within {} ms", after.as_millis())]
    Unanswered {
        /// What was tried.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// Asked to stop.
    #[error("stopped{}", .0.as_deref().map(|error| format!(" after: {error}")).unwrap_or_default())]
    Cancelled(Option<String>),
}

// === impl DeliveryFault ===

impl DeliveryFault {
    /// Returns the more informative of two faults of a page: a stop is only a consequence of another fault, or of the
    /// time.
    pub(crate) fn or_worse(self, other: Option<DeliveryFault>) -> DeliveryFault {
        match other {
            Some(other) if other.says() > self.says() => other,
            _ => self,
        }
    }

    fn says(&self) -> u8 {
        match self {
            DeliveryFault::Cancelled(None) => 0,
            DeliveryFault::Writer(fault) if matches!(**fault, WriterFault::Cancelled) => 0,
            DeliveryFault::Cancelled(Some(_)) => 1,
            _ => 2,
        }
    }

    /// Whether trying again is of no use. A one-shot command does not wait for what a person must repair.
    pub(crate) fn is_final(&self, patience: Patience) -> bool {
        match self {
            DeliveryFault::Setup(error) => match error.kind() {
                SetupErrorKind::Gap | SetupErrorKind::Record => true,
                SetupErrorKind::Transient => false,
                _ => patience != Patience::Endless,
            },
            DeliveryFault::Read(error) => !error.fault().passes_by_itself() && patience != Patience::Endless,
            DeliveryFault::Letters(_) => patience != Patience::Endless,
            DeliveryFault::Unanswered { .. } => false,
            _ => true,
        }
    }

    /// What to do about it, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            DeliveryFault::Writer(fault) => fault.hint().to_owned(),
            DeliveryFault::Setup(error) => error.hint().to_owned(),
            DeliveryFault::Read(error) => error.hint().to_owned(),
            DeliveryFault::Letters(error) => error.hint(),
            DeliveryFault::Configuration(error) => error.hint().to_owned(),
            DeliveryFault::NoReader => "omit --images, so that the items are read from the table".to_owned(),
            DeliveryFault::NoProgress(_) => {
                "check the health and load of the cluster, and run the command again; finished work is kept".to_owned()
            }
            DeliveryFault::Broken => {
                "run the command again; finished work is kept. Please report it with the log".to_owned()
            }
            DeliveryFault::Unanswered { .. } => {
                "check that this network reaches the service: routes, endpoints and security groups".to_owned()
            }
            DeliveryFault::Cancelled(_) => "the next start continues from the last checkpoint".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_does_not_hide_another_fault() {
        let stopped = || DeliveryFault::Writer(Arc::new(WriterFault::Cancelled));
        let after = || DeliveryFault::Cancelled(Some("503".into()));
        let worse = |left: DeliveryFault, right| left.or_worse(right).to_string();
        assert!(worse(stopped(), Some(after())).contains("503"));
        assert!(worse(after(), Some(stopped())).contains("503"));
        assert!(worse(DeliveryFault::NoReader, Some(after())).contains("has to be read"));
        assert!(worse(after(), Some(DeliveryFault::NoReader)).contains("has to be read"));
        assert!(worse(stopped(), None).contains("stopped"));
    }
}
