//! The offered invocation, the running one, and other state of the function for tests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Answer, FunctionError};

/// What the routes and the test share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) offered: Option<Offered>,
    pub(super) under_way: Option<UnderWay>,
    /// How many requests for the next invocation hang.
    pub(super) asking: u32,
    pub(super) init_error: Option<FunctionError>,
    /// Answers to invocations that were over already.
    pub(super) late: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Offered {
    pub(super) id: String,
    pub(super) payload: Bytes,
    pub(super) time: Duration,
}

/// The invocation that the function works on.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) id: String,
    pub(super) deadline: Instant,
    pub(super) answer: Option<Answer>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            let found = look(&mut self.state());
            match found {
                Some(found) => return found,
                None => changed.changed().await.expect("the sender lives in this value"),
            }
        }
    }
}

impl Offered {
    /// Milliseconds since 1970, for the header that the function reads.
    pub(super) fn deadline_ms(&self) -> u128 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        (now + self.time).as_millis()
    }
}
