//! Evaluates a function's answer as the mapping does.

use std::sync::Arc;

use serde_json::Value;

use super::record::Record;
use crate::lambda::Answer;

/// What a function gave back for a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A response, whatever it says.
    Response(String),
    /// An error, a timeout or a crash.
    Failed,
}

/// What it means for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// What stands before this place is done; the rest comes again.
    From(usize),
    Failed,
}

impl From<&Answer> for Reply {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Response(text) => Self::Response(text.clone()),
            Answer::Error(_) | Answer::TimedOut | Answer::Crashed(_) => Self::Failed,
        }
    }
}

impl Reply {
    /// As the service reads it with `ReportBatchItemFailures`.
    pub(super) fn verdict(&self, records: &[Arc<Record>]) -> Verdict {
        let Self::Response(text) = self else {
            return Verdict::Failed;
        };
        let Ok(response) = serde_json::from_str::<Value>(text) else {
            return Verdict::Failed;
        };
        let failures = match response.get("batchItemFailures") {
            None | Some(Value::Null) => return Verdict::Done,
            Some(failures) => failures.as_array().map(Vec::as_slice),
        };
        let place = |failure: &Value| {
            let identifier = failure.get("itemIdentifier")?.as_str()?;
            records.iter().position(|record| record.sequence == identifier)
        };
        match failures {
            Some([]) => Verdict::Done,
            Some(failures) => {
                let places: Option<Vec<usize>> = failures.iter().map(place).collect();
                places.and_then(|places| places.into_iter().min()).map_or(Verdict::Failed, Verdict::From)
            }
            None => Verdict::Failed,
        }
    }
}
