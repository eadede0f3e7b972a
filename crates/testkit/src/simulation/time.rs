//! Virtual time: the runtime's paused clock, and the true time of day that goes with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The true time. Only workers' own clocks can differ from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct VirtualTime {
    start: Instant,
}

/// When every simulation begins, in seconds since 1970.
const EPOCH: u64 = 1_800_000_000;

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;

impl VirtualTime {
    /// Begins now.
    pub(super) fn start() -> VirtualTime {
        VirtualTime { start: Instant::now() }
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Milliseconds since the beginning.
    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The time of day.
    pub(super) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(EPOCH) + self.elapsed()
    }

    /// Seconds since 1970, rounded down, as creation times are.
    pub(super) fn seconds(&self) -> u64 {
        EPOCH + self.elapsed().as_secs()
    }

    /// Waits until so many milliseconds since the beginning.
    pub(super) async fn until(&self, millis: u64) {
        tokio::time::sleep_until(self.start + Duration::from_millis(millis)).await;
    }
}
