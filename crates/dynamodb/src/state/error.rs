//! Why the state table cannot be used.

use super::keys::FORMAT;
use crate::fault::AwsError;

/// Why the state table cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A call failed.
    #[error("state table {table}: {source}")]
    Aws {
        /// The table.
        table: String,
        /// What happened.
        source: AwsError,
    },
    /// There is no such table.
    #[error("there is no state table {0}")]
    Missing(String),
    /// The table has other keys.
    #[error("table {0} is no state table: its key is not pk (S), sk (S)")]
    OtherKeys(String),
    /// Written by a newer version of streamdex.
    #[error("{kind} {key} in the state table has format {found}, and this version knows formats up to {FORMAT}")]
    NewerFormat {
        /// What kind of item.
        kind: String,
        /// Its sort key.
        key: String,
        /// Its format.
        found: u64,
    },
}

impl StateError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            StateError::Aws { source, .. } => source.hint().to_owned(),
            StateError::Missing(_) => {
                "run `streamdex state create`, or name an existing table as state.table".to_owned()
            }
            StateError::OtherKeys(_) => "name another table as state.table".to_owned(),
            StateError::NewerFormat { .. } => "use the newer version of streamdex, or another state.group".to_owned(),
        }
    }

    /// The failed call, where that is what it is.
    pub fn aws(&self) -> Option<&AwsError> {
        match self {
            StateError::Aws { source, .. } => Some(source),
            _ => None,
        }
    }
}
