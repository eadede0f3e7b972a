//! The present end of an open shard, which the service never tells.

use std::time::Duration;

use tokio::time::Instant;

/// Whether the reader has come to the present end of an open shard.
#[derive(Debug, Default)]
pub(super) struct Tip {
    empty_pages: u32,
    since: Option<Instant>,
    reached: bool,
}

/// Empty pages are normal in the middle of a shard; so many, over so long, are taken for its end.
const EMPTY_PAGES: u32 = 5;
const EMPTY_FOR: Duration = Duration::from_secs(2);

// === impl Tip ===

impl Tip {
    pub(super) fn is_reached(&self) -> bool {
        self.reached
    }

    /// A page that is cut off at its limit has more behind it. Once the end was reached, pages that are
    /// not are all there is.
    pub(super) fn see(&mut self, empty: bool, is_full: bool, polled: Instant) {
        if is_full {
            *self = Tip::default();
        }
        if !empty {
            self.empty_pages = 0;
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(polled);
        self.empty_pages = self.empty_pages.saturating_add(1);
        if self.empty_pages >= EMPTY_PAGES && polled.duration_since(since) >= EMPTY_FOR {
            self.reached = true;
        }
    }
}
