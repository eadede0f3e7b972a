//! Slots for connections: their number is bounded, and a new connection never waits for one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// So many places. If all are taken, the oldest connection is closed: an idle connection must not keep out a new one.
#[derive(Debug, Clone)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<VecDeque<CancellationToken>>>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    /// Closes the connection.
    close: CancellationToken,
}

// === impl Places ===

impl Places {
    pub(super) fn new(most: usize) -> Places {
        Places { most, taken: Arc::default() }
    }

    /// Takes a place for the connection that `close` closes.
    pub(super) fn enter(&self, close: &CancellationToken) -> Place {
        let mut taken = self.taken();
        if taken.len() >= self.most
            && let Some(oldest) = taken.pop_front()
        {
            oldest.cancel();
        }
        taken.push_back(close.clone());
        Place { places: self.clone(), close: close.clone() }
    }

    /// Takes a place for the connection that `close` closes, where one is free.
    pub(super) fn enter_if_free(&self, close: &CancellationToken) -> Option<Place> {
        let mut taken = self.taken();
        if taken.len() >= self.most {
            return None;
        }
        taken.push_back(close.clone());
        Some(Place { places: self.clone(), close: close.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<CancellationToken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().retain(|token| *token != self.close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_its_place_to_a_newcomer() {
        let places = Places::new(2);
        let tokens: Vec<CancellationToken> = (0..4).map(|_| CancellationToken::new()).collect();
        let first = places.enter(&tokens[0]);
        let _second = places.enter(&tokens[1]);
        let _third = places.enter(&tokens[2]);
        let closed = || tokens.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        assert_eq!(closed(), [true, false, false, false]);
        drop(first);
        assert_eq!(places.taken().len(), 2);
        assert!(places.enter_if_free(&tokens[3]).is_none());
        drop(_second);
        let _fourth = places.enter(&tokens[3]);
        assert_eq!(closed(), [true, false, false, false]);
    }
}
