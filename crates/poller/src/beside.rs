//! The work of a worker beside reading a table, while it has the lease: filling the index with the items from before
//! the stream.
//!
//! The caller supplies it. Reading does not depend on it, and continues if it fails.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use streamdex_dynamodb::state::Operation;
use streamdex_sink::Permit;
use tokio_util::sync::CancellationToken;

use crate::state::StreamStart;
use crate::status::StatusBoard;

/// What is done beside reading.
#[async_trait]
pub trait Beside: Send + Sync {
    /// Decides what is to be done, before the first record is read: what it returns is stored together with the pin of the
    /// stream, which the group has not followed before (rule B1).
    ///
    /// # Errors
    /// It cannot be decided yet.
    async fn decide(&self, start: &StreamStart) -> Result<Operation, Undecided>;

    /// Does it, as long as the lease is this worker's: then it is dropped.
    async fn work(&self, held: Held);
}

/// A lease that is held.
#[derive(Clone)]
pub struct Held {
    /// Nothing is written without it.
    pub permit: Arc<dyn Permit>,
    /// Where to show how far it is.
    pub board: StatusBoard,
    /// After this is cancelled there is a second left.
    pub stop: CancellationToken,
}

/// Why it cannot be decided what is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// Why.
    pub reason: String,
    /// What to do, in one sentence.
    pub hint: String,
    /// Whether asking again may help.
    pub passes: bool,
}

// === impl Undecided ===

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot find out whether the index is empty: {}", self.reason)
    }
}

impl std::error::Error for Undecided {}
