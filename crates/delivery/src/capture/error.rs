//! Errors of captured texts.

use streamdex_mapping::MapError;
use streamdex_mapping::event::CapturedError;

use crate::view::ViewMismatch;

/// Why a text cannot be taken. Nothing of it is to be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// It is of no known form.
    #[error(transparent)]
    Form(#[from] CapturedError),
    /// It is a list, and nothing in it is a stream record.
    #[error("it has no stream record: a stream record has eventName and dynamodb")]
    NoRecords,
    /// A record names a table that is no source.
    #[error("a record names table {table:?}, which is not a source of this configuration (its tables: {known})")]
    UnknownTable {
        /// The table.
        table: String,
        /// The tables of the configuration.
        known: String,
    },
    /// The stream that the records come from carries too little for a route.
    #[error(transparent)]
    View(ViewMismatch),
    /// A record names no table, and there are several sources.
    #[error("a record does not say which table it comes from, and there are several sources")]
    NoTable,
    /// The configuration does not fit the records.
    #[error(transparent)]
    Configuration(MapError),
}

// === impl CaptureError ===

impl CaptureError {
    /// What to do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            CaptureError::Form(error) => error.hint(),
            CaptureError::NoRecords => CapturedError::Unknown.hint(),
            CaptureError::UnknownTable { .. } => {
                "add a [[source]] for this table to the configuration, or remove its stream from this function"
            }
            CaptureError::NoTable => "give records with their eventSourceARN",
            CaptureError::Configuration(error) => error.hint(),
            CaptureError::View(mismatch) => mismatch.hint(),
        }
    }
}
