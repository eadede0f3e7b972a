//! Errors of the state table.

use super::keys::FORMAT;
use crate::fault::AwsError;
use crate::place::Place;

/// Errors of the state table.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// The table was made, and is not protected as it was to be.
    #[error("state table {table} was created, but is not protected: {source}")]
    Unprotected {
        /// The table.
        table: String,
        /// What happened.
        source: AwsError,
    },
    /// There is no such table.
    #[error("there is no state table {table}{place}")]
    Missing {
        /// Its name.
        table: String,
        /// Where it was looked for.
        place: Place,
    },
    /// The table has other keys.
    #[error("table {0} is not a state table: its key is not pk (S), sk (S)")]
    OtherKeys(String),
    /// The table is one that the configuration follows.
    #[error("table {0} is a source of this configuration, and cannot be the state table too")]
    IsSource(String),
    /// Written by a newer version of streamdex.
    #[error("{kind} {key} in the state table has format {found}, but this version knows only formats up to {FORMAT}")]
    NewerFormat {
        /// What kind of item.
        kind: String,
        /// Its sort key.
        key: String,
        /// Its format.
        found: u64,
    },
    /// An item without which nothing can be decided, and that cannot be read.
    #[error("the item {key} in the state table cannot be read")]
    Malformed {
        /// Its sort key.
        key: String,
    },
}

/// The commands that protect a state table.
pub fn protection_hint(table: &str) -> String {
    format!(
        "grant dynamodb:UpdateTable and dynamodb:UpdateContinuousBackups; to turn on both, run `aws dynamodb update-table --table-name {table} --deletion-protection-enabled` and `aws dynamodb update-continuous-backups --table-name {table} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true`"
    )
}

impl StateError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            StateError::Aws { source, .. } => source.hint().to_owned(),
            StateError::Unprotected { table, .. } => protection_hint(table),
            StateError::Missing { .. } => {
                "run `streamdex state create`, or name an existing table as state.table".to_owned()
            }
            StateError::OtherKeys(_) => "name another table as state.table".to_owned(),
            StateError::IsSource(_) => {
                "set state.table to a table that only streamdex uses: it holds leases, checkpoints and dead letters"
                    .to_owned()
            }
            StateError::Malformed { .. } => {
                "something else wrote to the table: stop all workers, delete the item, and start again".to_owned()
            }
            StateError::NewerFormat { .. } => "use the newer version of streamdex, or another state.group".to_owned(),
        }
    }

    /// The failed call, where that is what it is.
    pub fn aws(&self) -> Option<&AwsError> {
        match self {
            StateError::Aws { source, .. } | StateError::Unprotected { source, .. } => Some(source),
            _ => None,
        }
    }
}
