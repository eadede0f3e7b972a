//! Limits the memory of items that were read from tables and are not written yet.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The room for items that were read and are not written yet: one for all that a process delivers, however it runs.
/// Cheap to clone.
///
/// Room is taken before items are asked for, at the most that they can need, and given back down to what their
/// documents need once they are mapped. Whoever holds room needs no more of it to write, so that nobody waits for ever.
#[derive(Debug, Clone)]
pub struct ReadMemory(Arc<Semaphore>);

/// Room for items, held until what became of them is written.
#[derive(Debug)]
pub(crate) struct Room {
    memory: Arc<Semaphore>,
    permit: OwnedSemaphorePermit,
    /// What is in it, in permits.
    used: usize,
}

/// A permit is one KiB.
const CAPACITY: usize = 32 * 1024;
/// DynamoDB's largest item.
const LARGEST_ITEM: usize = 400;
/// The number of keys in one request: small enough that their items fit, large enough that small items need few calls.
pub(crate) const KEYS_AT_ONCE: usize = 40;
/// A slice with so much in it is written before more is read, so that several slices can be under way.
const SLICE: usize = 8 * 1024;

// === impl ReadMemory ===

impl Default for ReadMemory {
    fn default() -> ReadMemory {
        ReadMemory(Arc::new(Semaphore::new(CAPACITY)))
    }
}

impl ReadMemory {
    /// The most that is held at any time, in bytes.
    pub const BYTES: usize = CAPACITY * 1024;

    /// Waits for room for so many items. `None` only where the memory is closed, which it never is.
    pub(crate) async fn room(&self, items: usize) -> Option<Room> {
        let memory = Arc::clone(&self.0);
        let permit = Arc::clone(&memory).acquire_many_owned(most(items)).await.ok()?;
        Some(Room { memory, permit, used: 0 })
    }
}

// === impl Room ===

impl Room {
    /// Takes room for more items, where it can be had at once and the slice is not large enough.
    pub(crate) fn grow(&mut self, items: usize) -> bool {
        if self.used >= SLICE {
            return false;
        }
        let more = Arc::clone(&self.memory).try_acquire_many_owned(most(items));
        more.map(|more| self.permit.merge(more)).is_ok()
    }

    /// Notes that the items were read and that their documents have this many bytes, and releases the unused room.
    pub(crate) fn fill(&mut self, bytes: usize) {
        self.used += bytes.div_ceil(1024);
        drop(self.permit.split(self.permit.num_permits().saturating_sub(self.used)));
    }

    /// The part of it that these bytes take. It is held on its own.
    pub(crate) fn part(&mut self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.permit.split(bytes.div_ceil(1024).min(self.permit.num_permits()))
    }
}

fn most(items: usize) -> u32 {
    u32::try_from(items.saturating_mul(LARGEST_ITEM).min(CAPACITY)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_given_back_down_to_what_is_needed() {
        let memory = ReadMemory::default();
        let mut first = memory.room(KEYS_AT_ONCE).await.unwrap();
        let mut second = memory.room(KEYS_AT_ONCE).await.unwrap();
        assert!(futures::poll!(Box::pin(memory.room(KEYS_AT_ONCE))).is_pending());
        first.fill(100);
        second.fill(3 * 1024 * 1024);
        assert!(first.grow(KEYS_AT_ONCE));
        first.fill(9 * 1024 * 1024);
        assert!(!first.grow(1), "the slice is large enough");
        assert!(!second.grow(80), "there is no room at once");
        let part = first.part(9 * 1024 * 1024);
        drop(first);
        assert_eq!(memory.0.available_permits(), CAPACITY - 12 * 1024);
        drop((part, second));
        assert_eq!(memory.0.available_permits(), CAPACITY);
        // More items than fit are asked for in turn; they must not wait for ever.
        assert!(memory.room(1_000).await.is_some());
    }
}
