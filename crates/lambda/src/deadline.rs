//! How an invocation's time is divided: pure.
//!
//! ```text
//! now ───────── sending ─────────┬──── settling ────┬─ answering ─┬ Lambda kills the sandbox
//!                                └───────────── margin ───────────┘
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How an invocation's time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// From now on, so long is something sent, or sent again.
    pub sending: Duration,
    /// After that, so long are requests in flight waited for; then they are given up.
    pub settling: Duration,
}

/// Of the margin, this part is kept for the answer itself.
const ANSWERING_PART: u32 = 4;
const MOST_ANSWERING: Duration = Duration::from_millis(500);

impl Allowance {
    /// Divides the time that is `left`. The margin takes at most half of it, so that an invocation with little
    /// time sends something too, instead of the same batch coming for ever.
    pub fn of(left: Duration, margin: Duration) -> Allowance {
        let margin = margin.min(left / 2);
        let answering = (margin / ANSWERING_PART).min(MOST_ANSWERING);
        Allowance { sending: left - margin, settling: margin - answering }
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
            // left, margin: sending, settling, and the rest for the answer
            (60_000, 2_000, 58_000, 1_500),
            (60_000, 10_000, 50_000, 9_500),
            (10_000, 1_000, 9_000, 750),
            (3_000, 2_000, 1_500, 1_125),
            (100, 2_000, 50, 38),
            (0, 2_000, 0, 0),
        ];
        for (left, margin, sending, settling) in rows {
            let found = Allowance::of(MS * left, MS * margin);
            let rounded = found.settling.as_micros().div_ceil(1000);
            assert_eq!((found.sending, rounded), (MS * sending, settling), "{left} {margin}");
            assert!(found.sending + found.settling <= MS * left);
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
