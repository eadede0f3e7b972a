//! Recognises captured texts.

use std::borrow::Cow;

/// What a captured JSON text was.
#[derive(Debug)]
pub enum Captured<'a> {
    /// Stream records: a Lambda event, the output of `get-records`, a list, or a single record. All
    /// were handed over.
    Records,
    /// A failure record of an event source mapping: the text of the event that it carries, to be read
    /// with [`read_captured`](super::read_captured) again. Its records do not come in order from their shard.
    OnFailure(Cow<'a, str>),
    /// The items of `scan` or `query` output, or the one of `get-item`; see [`read_item`](super::read_item).
    Items(Vec<&'a str>),
}

/// Why a captured text is none that streamdex knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapturedError {
    /// The text is no JSON.
    #[error("not JSON: line {line} column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The event of a tumbling window: its state would be lost.
    #[error("the event belongs to a tumbling window, which streamdex does not support")]
    TumblingWindow,
    /// An on-failure record that carries only where the records were (SQS, SNS).
    #[error("an on-failure record without the records themselves")]
    NoPayload,
    /// It names `Records` twice. Which of the lists counts is anybody's guess.
    #[error("two lists of records in one event")]
    Lists,
    /// Anything else.
    #[error("neither a stream record, nor a list of them, nor an on-failure record, nor items")]
    Unknown,
}

impl CapturedError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            CapturedError::Json { .. } => "give one JSON text, or one record a line",
            CapturedError::TumblingWindow => "remove the tumbling window from the event source mapping",
            CapturedError::NoPayload => "use an S3 on-failure destination: its records contain the event",
            CapturedError::Lists => "give each list of records as an event",
            CapturedError::Unknown => "give a Lambda event, get-records output, or one stream record a line",
        }
    }
}
