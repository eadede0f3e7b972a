//! The reasons for undecided records, and the remedies.

use std::convert::Infallible;

use streamdex_delivery::DeliveryFault;
use streamdex_dynamodb::state::StateError;
use streamdex_sink::pause::Pause;
use streamdex_sink::writer::Fault;
use streamdex_sink::{BulkWriter, PauseReason, SetupError, VanishedIndex};
use tokio_util::sync::CancellationToken;

use crate::error::MORE_PROCESSOR;

/// The reasons for undecided records, and the remedies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    /// A word for metrics.
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
    pub(crate) hint: String,
}

/// What has to be done before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preparation {
    /// The state table says which indices are known.
    KnownIndices,
    /// OpenSearch says whether they are the same.
    Look,
}

/// The pauses of a writer, kept beyond its end: a stopped writer has none.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    /// The oldest first.
    pauses: Vec<Pause>,
    /// Requests without an answer when the time was over.
    unanswered: u64,
    last_error: Option<String>,
}

/// So many pauses are named.
const NAMED: usize = 3;

// === impl LastWords ===

impl LastWords {
    /// Follows a writer until this is dropped. What it held back when `cancel` came is kept.
    pub(crate) async fn follow(&mut self, writer: &BulkWriter, cancel: &CancellationToken) -> Infallible {
        let mut pauses = writer.watch_pauses();
        loop {
            let now = pauses.borrow_and_update().clone();
            if !now.is_empty() || !cancel.is_cancelled() {
                self.pauses = now;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled(), if self.unanswered == 0 && !cancel.is_cancelled() => {
                    self.unanswered = writer.stats().in_flight;
                }
                changed = pauses.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
            }
        }
    }

    /// Adds what it says once it has ended.
    pub(crate) fn ended(mut self, writer: &BulkWriter) -> LastWords {
        self.last_error = writer.stats().last_error;
        self
    }
}

// === impl Why ===

impl Why {
    /// Nothing more is known than that the time was over.
    pub(crate) fn late() -> Why {
        Why {
            kind: "no_time",
            reason: "the invocation's time was up".to_owned(),
            hint: "check the health and load of the cluster, or give the function more time".to_owned(),
        }
    }

    /// The time was over before anything could be written.
    pub(crate) fn unprepared(preparation: Preparation) -> Why {
        let (what, hint) = match preparation {
            Preparation::KnownIndices => (
                "the list of known indices could not be read from the state table",
                "check that the function can reach DynamoDB: its VPC needs a route or an endpoint",
            ),
            Preparation::Look => ("OpenSearch did not return the list of indices", PauseReason::NoAnswer.hint()),
        };
        let late = Why::late();
        Why { reason: format!("{}: {what}", late.reason), hint: hint.to_owned(), ..late }
    }

    /// There was no time to map these records.
    pub(crate) fn unmapped(records: usize) -> Why {
        let reason = format!("{records} records could not be mapped in their share of the invocation's time");
        Why { kind: "mapping", reason, hint: MORE_PROCESSOR.to_owned() }
    }

    pub(crate) fn vanished(vanished: &VanishedIndex) -> Why {
        let error = SetupError::Vanished(vanished.clone());
        Why { kind: PauseReason::IndexMissing.name(), reason: error.to_string(), hint: error.hint().to_owned() }
    }

    /// It is not known whether an index has vanished.
    pub(crate) fn unknown(error: &StateError) -> Why {
        Why { kind: "state_table", reason: error.to_string(), hint: error.hint() }
    }

    /// Why the delivery of a page stopped.
    pub(crate) fn of(fault: &DeliveryFault, words: &LastWords) -> Why {
        let last = match fault {
            DeliveryFault::Cancelled(last) => last.clone(),
            DeliveryFault::Writer(fault) if matches!(**fault, Fault::Cancelled) => None,
            fault => {
                let kind = match fault {
                    DeliveryFault::Setup(_) => "index_setup",
                    DeliveryFault::Read(_) => "item_read",
                    DeliveryFault::Letters(_) => "dead_letter",
                    DeliveryFault::Writer(fault) if matches!(**fault, Fault::Undecided { .. }) => "documents_refused",
                    _ => "fault",
                };
                return Why { kind, reason: fault.to_string(), hint: fault.hint() };
            }
        };
        let late = Why::late();
        if let Some(pause) = words.pauses.first() {
            let pauses: Vec<String> = words.pauses.iter().take(NAMED).map(ToString::to_string).collect();
            let mut reason = format!("{}: paused, {}", late.reason, pauses.join("; "));
            if let Some(last) = last {
                reason = format!("{reason}; and after: {last}");
            }
            return Why { kind: pause.reason.name(), reason, hint: pause.hint().to_owned() };
        }
        if let (None, 1..) = (&last, words.unanswered) {
            let reason = format!("{}, and OpenSearch did not answer", late.reason);
            let hint = PauseReason::NoAnswer.hint().to_owned();
            return Why { kind: PauseReason::NoAnswer.name(), reason, hint };
        }
        match last.or_else(|| words.last_error.clone()) {
            Some(error) => Why { reason: format!("{}, after: {error}", late.reason), ..late },
            None => late,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use streamdex_mapping::IndexName;
    use streamdex_sink::pause::Scope;
    use tokio::time::Instant;

    use super::*;

    fn stopped() -> DeliveryFault {
        DeliveryFault::Writer(Arc::new(Fault::Cancelled))
    }

    fn pause(index: &str, reason: PauseReason) -> Pause {
        let scope = Scope::Index(IndexName::parse(index).unwrap());
        Pause { scope, reason, detail: None, since: Instant::now() }
    }

    #[tokio::test]
    async fn the_reason_that_the_writer_knew_is_named() {
        let pauses = vec![pause("orders", PauseReason::ReadOnly), pause("carts", PauseReason::Unavailable)];
        let error = Some("429".to_owned());
        let words = |pauses, unanswered| LastWords { pauses, unanswered, last_error: error.clone() };
        let rows = [
            (stopped(), words(pauses.clone(), 1), "read_only", "index carts"),
            (DeliveryFault::Cancelled(Some("the table".into())), words(pauses, 0), "read_only", "and after: the table"),
            (DeliveryFault::Cancelled(Some("the table".into())), words(vec![], 1), "no_time", "after: the table"),
            (stopped(), words(vec![], 1), "no_answer", "did not answer"),
            (stopped(), words(vec![], 0), "no_time", "after: 429"),
            (stopped(), LastWords::default(), "no_time", "was up"),
            (DeliveryFault::NoReader, LastWords::default(), "fault", "has to be read"),
        ];
        for (fault, words, kind, part) in rows {
            let why = Why::of(&fault, &words);
            assert!(why.kind == kind && why.reason.contains(part) && !why.hint.is_empty(), "{fault:?} {why:?}");
        }
    }
}
