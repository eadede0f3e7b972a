//! Events per second, smoothed: pure.

use std::time::Duration;

use tokio::time::Instant;

/// The age at which an event counts for a third of a current one.
const MEMORY: Duration = Duration::from_secs(15);

/// An exponentially weighted rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    per_second: f64,
    at: Instant,
}

// === impl Rate ===

impl Rate {
    pub(super) fn new(now: Instant) -> Rate {
        Rate { per_second: 0.0, at: now }
    }

    pub(super) fn add(&mut self, events: u64, now: Instant) {
        let events = u32::try_from(events).map_or(f64::from(u32::MAX), f64::from);
        *self = Rate { per_second: self.at(now) + events / MEMORY.as_secs_f64(), at: now };
    }

    /// Events per second; it fades while nothing happens.
    pub(super) fn at(&self, now: Instant) -> f64 {
        let faded = self.per_second * (-now.duration_since(self.at).as_secs_f64() / MEMORY.as_secs_f64()).exp();
        // What is less than one in a quarter of an hour is a shard where nothing comes.
        if faded < 0.001 { 0.0 } else { faded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_steady_stream_has_its_rate_and_fades() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let tenth = Duration::from_millis(100);
        for tick in 1..=1200 {
            rate.add(20, start + tenth * tick);
        }
        let now = start + tenth * 1200;
        assert!((rate.at(now) - 200.0).abs() < 4.0, "{}", rate.at(now));
        let later = rate.at(now + MEMORY);
        assert!((later - 200.0 / std::f64::consts::E).abs() < 2.0, "{later}");
        assert_eq!(rate.at(now + MEMORY * 20), 0.0);
    }
}
