//! Limits read-ahead in bytes, so that no shard starves another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The memory for records of one stream that were read and are not written yet.
///
/// A page is charged before it is asked for, at the most that it can hold, and corrected once it is there.
/// Where the common part is used up, by shards that cannot write for example, a shard that holds nothing may
/// still ask for a small page out of a reserve.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    common: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    in_use: Arc<AtomicU64>,
}

/// Room for one page.
#[derive(Debug)]
pub(crate) struct Room {
    permit: OwnedSemaphorePermit,
    /// At most so many records are to be asked for.
    pub(crate) limit: Option<i32>,
    in_use: Arc<AtomicU64>,
    bytes: u64,
}

/// A permit is one KiB.
const COMMON: usize = 96 * 1024;
const RESERVE: usize = 32 * 1024;
/// A page holds at most 1 MB. Its text, what is known of its attributes and its documents take about three times that.
const PAGE: u32 = 3 * 1024;
const SMALL_PAGE: u32 = 256;
const SMALL_PAGE_RECORDS: i32 = 32;
const GROWTH: u64 = 3;

// === impl Budget ===

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            common: Arc::new(Semaphore::new(COMMON)),
            reserve: Arc::new(Semaphore::new(RESERVE)),
            in_use: Arc::default(),
        }
    }
}

impl Budget {
    /// Waits for room for one page. `None` only where the budget is closed, which it never is.
    pub(crate) async fn room(&self, holds_pages: Holds) -> Option<Room> {
        let common = match Arc::clone(&self.common).try_acquire_many_owned(PAGE) {
            Ok(permit) => Some(permit),
            Err(TryAcquireError::NoPermits) => None,
            Err(TryAcquireError::Closed) => return None,
        };
        if let Some(permit) = common {
            return Some(self.with(permit, None));
        }
        if holds_pages == Holds::Pages {
            let permit = Arc::clone(&self.common).acquire_many_owned(PAGE).await.ok()?;
            return Some(self.with(permit, None));
        }
        tokio::select! {
            biased;
            permit = Arc::clone(&self.reserve).acquire_many_owned(SMALL_PAGE) => {
                Some(self.with(permit.ok()?, Some(SMALL_PAGE_RECORDS)))
            }
            permit = Arc::clone(&self.common).acquire_many_owned(PAGE) => Some(self.with(permit.ok()?, None)),
        }
    }

    /// Bytes of records that are held.
    pub(crate) fn bytes_in_use(&self) -> u64 {
        self.in_use.load(Ordering::Relaxed)
    }

    fn with(&self, permit: OwnedSemaphorePermit, limit: Option<i32>) -> Room {
        Room { permit, limit, in_use: Arc::clone(&self.in_use), bytes: 0 }
    }
}

/// Whether a shard holds pages that are not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    Pages,
}

// === impl Room ===

impl Room {
    /// The page is there, and its records take so many bytes.
    pub(crate) fn take(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.in_use.fetch_add(bytes, Ordering::Relaxed);
        let needed = usize::try_from(bytes.saturating_mul(GROWTH).div_ceil(1024)).unwrap_or(usize::MAX);
        let surplus = self.permit.num_permits().saturating_sub(needed);
        drop(self.permit.split(surplus));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.in_use.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shard_that_holds_nothing_is_not_starved() {
        let budget = Budget::default();
        let mut blocked = Vec::new();
        for _ in 0..COMMON / 3 / 1024 {
            let mut room = budget.room(Holds::Pages).await.unwrap();
            room.take(1024 * 1024);
            blocked.push(room);
        }
        assert_eq!(budget.bytes_in_use(), 32 * 1024 * 1024);
        let quiet: Vec<Room> = futures::future::join_all((0..100).map(|_| budget.room(Holds::Nothing)))
            .await
            .into_iter()
            .map(Option::unwrap)
            .collect();
        assert!(quiet.iter().all(|room| room.limit == Some(SMALL_PAGE_RECORDS)));
        let hot = budget.room(Holds::Pages);
        tokio::pin!(hot);
        assert!(futures::poll!(&mut hot).is_pending());
        blocked.pop();
        assert!(hot.await.is_some());
        drop((quiet, blocked));
        assert_eq!(budget.bytes_in_use(), 0);
    }

    #[tokio::test]
    async fn an_empty_page_costs_nothing_once_it_is_there() {
        let budget = Budget::default();
        let mut rooms = Vec::new();
        for _ in 0..200 {
            let mut room = budget.room(Holds::Nothing).await.unwrap();
            assert_eq!(room.limit, None);
            room.take(0);
            rooms.push(room);
        }
    }
}
