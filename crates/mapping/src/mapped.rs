//! The result of mapping a change.

use crate::fetch::Fetch;
use crate::operation::Operation;
use crate::outcome::Outcome;

/// The result of mapping a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// Nothing to send: [`Outcome::Unchanged`] or [`Outcome::Filtered`].
    Nothing(Outcome),
    /// These operations, each on a different document.
    Operations(Vec<Operation>),
    /// The item must be read and given to [`Mapper::resolve`](crate::Mapper::resolve); the archive copy, if any, is sent
    /// as it is.
    Fetch {
        /// What to read, and what to do with it.
        fetch: Fetch,
        /// The archive copy of an expired item, which cannot be read again.
        archive: Option<Operation>,
    },
}
