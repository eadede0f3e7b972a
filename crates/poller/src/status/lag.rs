//! The lag of the index for one shard. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A poll is due this much later than the freshness says, at most: jitter, and the time that a call takes.
const CALL: Duration = Duration::from_millis(500);
/// A page that was asked for is taken up within this time; until then nobody knows that news came.
const HAND_OVER: Duration = Duration::from_millis(1_500);

/// What is known of one shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The index shows everything of the shard up to this moment.
    pub(super) current_as_of: Instant,
    /// When a call for records last succeeded.
    pub(super) polled: Instant,
    /// Whether that call, or one shortly before it, showed the shard's end with nothing left to write.
    pub(super) end_seen: bool,
    /// Whether something keeps it from going on.
    pub(super) held_back: bool,
    /// Records and pages that were read and have no outcome.
    pub(super) in_flight: u64,
}

// === impl Seen ===

impl Seen {
    /// Whether the index shows all that there is, as far as can be known when an idle shard is looked at each
    /// `freshness`.
    pub(super) fn is_caught_up(&self, freshness: Duration, now: Instant) -> bool {
        let between_polls = freshness + freshness / 10 + CALL;
        self.end_seen
            && !self.held_back
            && self.in_flight == 0
            && now.duration_since(self.polled) < between_polls
            && now.duration_since(self.current_as_of) < between_polls + HAND_OVER
    }

    /// Grows while reading or writing fails; 0 only where it is caught up.
    pub(super) fn lag(&self, freshness: Duration, now: Instant) -> Duration {
        if self.is_caught_up(freshness, now) { Duration::ZERO } else { now.duration_since(self.current_as_of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lag_is_0_only_at_the_end_of_the_shard_with_everything_acknowledged() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let now = at(100_000);
        let caught_up =
            Seen { current_as_of: at(99_500), polled: at(99_500), end_seen: true, held_back: false, in_flight: 0 };
        let second = Duration::from_secs(1);
        let rows = [
            ("everything is acknowledged", caught_up, second, 0),
            ("the end was not seen", Seen { end_seen: false, ..caught_up }, second, 500),
            ("records are in flight", Seen { in_flight: 1, ..caught_up }, second, 500),
            ("something holds it back", Seen { held_back: true, ..caught_up }, second, 500),
            ("the next poll is not due yet", Seen { polled: at(98_500), ..caught_up }, second, 0),
            ("polling fails", Seen { polled: at(98_400), ..caught_up }, second, 500),
            (
                "it is polled, and a page waits to be taken up",
                Seen { current_as_of: at(97_000), ..caught_up },
                second,
                0,
            ),
            (
                "it is polled, and nothing is acknowledged",
                Seen { current_as_of: at(96_900), ..caught_up },
                second,
                3_100,
            ),
            ("polled each minute", Seen { current_as_of: at(40_000), polled: at(40_000), ..caught_up }, 60 * second, 0),
            (
                "and not any more",
                Seen { current_as_of: at(30_000), polled: at(30_000), ..caught_up },
                60 * second,
                70_000,
            ),
            ("polled five times a second", Seen { polled: at(99_200), ..caught_up }, second / 5, 500),
        ];
        for (row, seen, freshness, expected) in rows {
            assert_eq!(seen.lag(freshness, now), Duration::from_millis(expected), "{row}");
            assert_eq!(seen.is_caught_up(freshness, now), expected == 0, "{row}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_that_is_yet_to_come_is_no_lag() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let seen = Seen { current_as_of: later, polled: later, end_seen: false, held_back: false, in_flight: 0 };
        assert_eq!(seen.lag(Duration::from_secs(1), now), Duration::ZERO);
    }
}
