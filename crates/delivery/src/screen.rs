//! Chooses the records of a captured text that are mapped.

use std::borrow::Cow;

use streamdex_mapping::{Change, CreationTime, Outcome, RecordError, SequenceNumber};

/// What is done with a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screened {
    /// It is mapped and delivered.
    Map,
    /// It has this outcome already; nothing of it is sent.
    Decided(Outcome),
    /// It stays undecided; nothing of it is sent.
    Postpone,
}

/// Decides about each record before it is mapped.
pub trait Screen: Send + Sync {
    /// Asked once for each record, in their order.
    fn screen(&self, record: &Seen<'_>) -> Screened;
}

/// Every record is mapped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unscreened;

/// The facts about a record before mapping, even if it cannot be mapped.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'r>(pub(crate) &'r Result<&'r Change<'r>, RecordError>);

impl Screen for Unscreened {
    fn screen(&self, _: &Seen<'_>) -> Screened {
        Screened::Map
    }
}

// === impl Seen ===

impl Seen<'_> {
    /// The ARN of the stream, where the record says it.
    pub fn stream_arn(&self) -> Option<&str> {
        match self.0 {
            Ok(change) => change.stream_arn.as_deref(),
            Err(error) => error.stream_arn.as_deref(),
        }
    }

    /// Its place in the shard, where it has one that can be read.
    pub fn sequence(&self) -> Option<&SequenceNumber> {
        match self.0 {
            Ok(change) => change.sequence.as_ref(),
            Err(error) => error.sequence.as_ref(),
        }
    }

    /// When it happened, where the record says it.
    pub fn created(&self) -> Option<CreationTime> {
        match self.0 {
            Ok(change) => change.created,
            Err(error) => error.created,
        }
    }

    /// Its key as DynamoDB JSON, as [`streamdex_mapping::RecordMeta`] keeps it.
    pub fn keys(&self) -> Cow<'_, str> {
        match self.0 {
            Ok(change) => Cow::Owned(change.canonical_keys()),
            Err(error) => Cow::Borrowed(error.keys.as_deref().unwrap_or_default()),
        }
    }
}
