//! The message from the reader of a shard to its writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use streamdex_dynamodb::records::Records;
use streamdex_mapping::{CreationTime, SequenceNumber};
use tokio::time::Instant;

use crate::gap::GapKind;
use crate::shard::budget::Room;

/// What the reader hands to the writer, in order.
pub(super) enum Read {
    Page(Page),
    /// Closed and read to the end.
    Drained,
    /// Read to the present end (`--until-end`).
    AtEnd,
    Gap(GapKind),
    /// The reader was stopped.
    Stopped,
    /// A one-shot command met something that does not pass.
    GaveUp {
        message: String,
        hint: String,
    },
}

/// Records to write.
pub(super) struct Page {
    pub(super) records: Records,
    /// How many records were passed over because they are from before the start.
    pub(super) before_start: usize,
    /// The last record read, passed over or not.
    pub(super) through: Option<SequenceNumber>,
    /// When the last record was created.
    pub(super) newest: Option<CreationTime>,
    /// When it was asked for.
    pub(super) polled: Instant,
    pub(super) is_full: bool,
    /// Whether this was all there was.
    pub(super) at_present_end: bool,
    /// How many pages of the shard are handed over and not written yet.
    pub(super) unacknowledged: Arc<AtomicUsize>,
    /// Held until the page is written.
    pub(super) _memory: Option<Room>,
}

// === impl Page ===

impl Page {
    pub(super) fn is_acknowledged(&self) {
        self.unacknowledged.fetch_sub(1, Ordering::SeqCst);
    }
}
