//! Virtual time: the runtime's paused clock, and the matching time of day.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The true time. Only workers' own clocks can differ from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct VirtualTime {
    start: Instant,
}

/// When something happened lately, in milliseconds since the beginning.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<u64>);

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

    /// The second of so many milliseconds since the beginning.
    pub(super) fn seconds_at(&self, millis: u64) -> u64 {
        EPOCH + millis / 1_000
    }

    /// Waits until so many milliseconds since the beginning.
    pub(super) async fn until(&self, millis: u64) {
        tokio::time::sleep_until(self.start + Duration::from_millis(millis)).await;
    }
}

impl Window {
    /// Counts one more now: how many there were within the last `within` milliseconds, this one too.
    pub(super) fn count(&mut self, now: u64, within: u64) -> usize {
        self.forget(now, within);
        self.0.push_back(now);
        self.0.len()
    }

    /// Counts one more; false where there were `most` within the last second.
    pub(super) fn admit(&mut self, now: u64, most: usize) -> bool {
        self.forget(now, SECOND);
        let admitted = self.0.len() < most;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }

    fn forget(&mut self, now: u64, within: u64) {
        while self.0.front().is_some_and(|at| at + within <= now) {
            self.0.pop_front();
        }
    }
}
