//! Divides the time of an invocation. Pure.
//!
//! ```text
//! now ───────── sending ─────────┬─ settling ─┬─ storing ─┬─ answering ─┬ Lambda kills the sandbox
//!  └── mapping (at most half) ──┘ └──────────────── margin ─────────────┘
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How an invocation's time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The time from now in which operations are sent, or sent again.
    pub sending: Duration,
    /// The time after that to wait for requests in flight, before they are abandoned.
    pub settling: Duration,
    /// The time after that to store the last dead letters.
    pub storing: Duration,
}

/// Of the margin, this part is kept for the answer itself.
const ANSWERING_PART: u32 = 4;
const MOST_ANSWERING: Duration = Duration::from_millis(500);
/// Of the rest of the margin, this part is kept for dead letters.
const STORING_PART: u32 = 3;
const MOST_STORING: Duration = Duration::from_secs(2);

impl Allowance {
    /// Divides the time that is `left`. The margin takes at most half of it, so that an invocation with little
    /// time sends something too, instead of the same batch coming for ever.
    pub fn of(left: Duration, margin: Duration) -> Allowance {
        let margin = margin.min(left / 2);
        let answering = (margin / ANSWERING_PART).min(MOST_ANSWERING);
        let storing = ((margin - answering) / STORING_PART).min(MOST_STORING);
        Allowance { sending: left - margin, settling: margin - answering - storing, storing }
    }

    /// The time for mapping: mapped records must also be sent in time.
    pub fn mapping(&self) -> Duration {
        self.sending / 2
    }

    /// The time for everything but the answer.
    pub fn whole(&self) -> Duration {
        self.sending + self.settling + self.storing
    }

    /// What is left of it after some of it has passed.
    #[must_use]
    pub fn after(&self, passed: Duration) -> Allowance {
        Allowance { sending: self.sending.saturating_sub(passed), ..*self }
    }
}

/// The time that is left at `now` until `deadline`, in milliseconds since 1970.
pub fn left_until(deadline: u64, now: SystemTime) -> Duration {
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(deadline));
    deadline.and_then(|deadline| deadline.duration_since(now).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_margin_is_kept_free() {
        let rows = [
            // left, margin: sending, settling, storing, and the rest for the answer
            (60_000, 2_000, 58_000, 1_000, 500),
            (60_000, 10_000, 50_000, 7_500, 2_000),
            (10_000, 1_000, 9_000, 500, 250),
            (3_000, 2_000, 1_500, 750, 375),
            (100, 2_000, 50, 25, 13),
            (0, 2_000, 0, 0, 0),
        ];
        for (left, margin, sending, settling, storing) in rows {
            let found = Allowance::of(MS * left, MS * margin);
            let rounded = [found.settling, found.storing].map(|time| time.as_micros().div_ceil(1000));
            assert_eq!((found.sending, rounded), (MS * sending, [settling, storing]), "{left} {margin}");
            assert!(found.whole() <= MS * left && found.mapping() <= found.sending);
            assert_eq!(found.after(MS * left).sending, Duration::ZERO);
        }
    }

    #[test]
    fn a_deadline_that_has_passed_leaves_nothing() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(left_until(1_003_500, now), MS * 3_500);
        assert_eq!(left_until(999_000, now), Duration::ZERO);
        assert_eq!(left_until(0, now), Duration::ZERO);
        assert!(left_until(u64::MAX, now) > Duration::from_secs(1));
    }
}
