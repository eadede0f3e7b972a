//! Finds the current end of an open shard, which the service does not report.

use std::time::Duration;

use tokio::time::Instant;

/// Whether the reader has come to the present end of an open shard.
#[derive(Debug, Default)]
pub(super) struct PresentEnd {
    empty_pages: u32,
    since: Option<Instant>,
    reached: bool,
}

/// Empty pages are normal in the middle of a shard; so many, over so long, are taken for its end.
const EMPTY_PAGES: u32 = 5;
const EMPTY_FOR: Duration = Duration::from_secs(2);

// === impl PresentEnd ===

impl PresentEnd {
    pub(super) fn is_reached(&self) -> bool {
        self.reached
    }

    /// It was not the end: older records came.
    pub(super) fn revoke(&mut self) {
        *self = PresentEnd::default();
    }

    /// A page that is cut off at its limit has more behind it. Once the end was reached, pages that are
    /// not are all there is.
    pub(super) fn see(&mut self, empty: bool, is_full: bool, polled: Instant) {
        if is_full {
            self.revoke();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_empty_pages_over_two_seconds_are_the_present_end() {
        let (mut end, start) = (PresentEnd::default(), Instant::now());
        let mut see = |millis: u64, empty, is_full| {
            end.see(empty, is_full, start + Duration::from_millis(millis));
            end.is_reached()
        };
        assert!((0..8).all(|page| !see(page * 200, true, false)), "eight pages in 1.4 s");
        assert!(!see(1_900, false, false), "records begin the count again");
        assert!((0..4).all(|page| !see(2_000 + page * 900, true, false)), "four pages over 2.7 s");
        assert!(see(5_600, true, false));
        assert!(see(5_800, false, false), "records at the end are all there is");
        assert!(!see(6_000, false, true), "a full page has more behind it");
    }
}
