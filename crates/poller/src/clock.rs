//! The two clocks of a worker.

use std::time::{Duration, SystemTime};

use streamdex_dynamodb::time::unix_seconds;
use tokio::time::Instant;

/// What a worker knows of time. Neither clock is enough alone: the monotonic one stands still while a machine
/// is suspended, and the wall clock can be set.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Time since some moment before; never goes back.
    fn monotonic(&self) -> Duration;
    /// The time of day, as far as this machine knows.
    fn wall(&self) -> SystemTime;
}

/// A moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub monotonic: Duration,
    /// On the wall clock.
    pub wall: SystemTime,
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

// === impl Moment ===

impl Moment {
    /// Now.
    pub fn now(clock: &dyn Clock) -> Moment {
        Moment { monotonic: clock.monotonic(), wall: clock.wall() }
    }

    /// How long ago this was, by whichever clock says more.
    pub fn age(self, clock: &dyn Clock) -> Duration {
        let monotonic = clock.monotonic().saturating_sub(self.monotonic);
        // Set back, the wall clock says nothing.
        let wall = clock.wall().duration_since(self.wall).unwrap_or_default();
        monotonic.max(wall)
    }
}

// === impl SystemClock ===

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Seconds since 1970 on the wall clock.
pub(crate) fn seconds(clock: &dyn Clock) -> u64 {
    unix_seconds(clock.wall())
}
