//! Waits between retries.

use std::time::Duration;

use tokio::time::Instant;

/// What failed is tried again after this time, and then after twice that.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Waits between retries.
#[derive(Debug)]
pub(crate) struct Pause {
    until: Instant,
    next: Duration,
}

// === impl Pause ===

impl Pause {
    /// At once.
    pub(crate) fn none() -> Pause {
        Pause { until: Instant::now(), next: FIRST }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// It has failed. What failed long ago does not count.
    pub(crate) fn begin(&mut self, now: Instant) {
        if now > self.until + LONGEST {
            self.next = FIRST;
        }
        self.until = now + self.next;
        self.next = (self.next * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_ten_minutes() {
        let (mut pause, mut now) = (Pause::none(), Instant::now());
        assert!(pause.is_over(now));
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            pause.begin(now);
            assert!(!pause.is_over(now + Duration::from_secs(seconds - 1)), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(pause.is_over(now), "{seconds}");
        }
        now += LONGEST + FIRST;
        pause.begin(now);
        assert!(pause.is_over(now + FIRST), "it begins from the front");
    }
}
