//! The delays between retries: exponential intervals with full jitter.
//!
//! The only file that names the `backoff` crate, and for its intervals alone (ADR 0006). Its own jitter is
//! switched off, since it takes a random number that no test can seed.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, SystemClock, exponential};

/// Intervals stop growing here at the latest.
const MOST_STEPS: usize = 24;

/// Below this, what is left is not divided any more: the last attempt has all of it.
const SMALLEST_SHARE: Duration = Duration::from_secs(1);

/// How long one attempt may take where `left` is left for all of them: a third, so that one request without an answer
/// does not use it all up.
pub fn attempt_share(left: Duration) -> Duration {
    let share = left / 3;
    if share < SMALLEST_SHARE { left } else { share }
}

/// How long one attempt may take where all work is to be done by a certain time: a share of what is left, so that one
/// attempt without an answer leaves time for another, and more where the server is known to be slow, or a server that is
/// always slower than a share would never be heard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptTimes {
    /// How long answers took lately.
    slowest: Duration,
    /// Attempts in a row without an answer.
    unanswered: u32,
}

/// Growing intervals between attempts.
#[derive(Debug, Clone)]
pub struct RetrySchedule {
    intervals: Vec<Duration>,
}

/// A source of jitter; the same seed gives the same delays.
#[derive(Debug, Clone)]
pub struct Jitter(fastrand::Rng);

/// Intervals and their jitter, together.
#[derive(Debug, Clone)]
pub(crate) struct Delays {
    schedule: RetrySchedule,
    jitter: Jitter,
}

// === impl RetrySchedule ===

impl AttemptTimes {
    /// How long the next attempt may take.
    pub(crate) fn limit(self, left: Duration) -> Duration {
        let share = attempt_share(left).saturating_mul(1 << self.unanswered.min(8));
        share.max(self.slowest.saturating_mul(2)).min(left)
    }

    /// An answer came after so long.
    pub(crate) fn answered(&mut self, took: Duration) {
        *self = AttemptTimes { slowest: took.max(self.slowest * 3 / 4), unanswered: 0 };
    }

    /// None came.
    pub(crate) fn unanswered(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }
}

impl RetrySchedule {
    /// Intervals that double from `first` up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> RetrySchedule {
        let mut source: ExponentialBackoff = exponential::ExponentialBackoff::<SystemClock> {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let intervals = std::iter::from_fn(|| source.next_backoff()).take(MOST_STEPS).collect();
        RetrySchedule { intervals }
    }

    /// The longest that attempt number `attempt` (the first retry is 0) waits.
    pub fn interval(&self, attempt: u32) -> Duration {
        let position = usize::try_from(attempt).unwrap_or(usize::MAX);
        self.intervals.get(position).or(self.intervals.last()).copied().unwrap_or_default()
    }

    /// How long attempt number `attempt` waits: anything up to its interval, on top of what the server asked for. It is
    /// limited to the longest interval: a proxy that asks for a day, or for ever, must not stop the work.
    pub fn delay(&self, attempt: u32, retry_after: Option<Duration>, jitter: &mut Jitter) -> Duration {
        let longest = self.interval(u32::MAX);
        retry_after.unwrap_or_default().min(longest).saturating_add(jitter.up_to(self.interval(attempt)))
    }
}

// === impl Jitter ===

impl Jitter {
    /// Repeatable jitter.
    pub fn with_seed(seed: u64) -> Jitter {
        Jitter(fastrand::Rng::with_seed(seed))
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.0.u64(0..=micros))
    }
}

impl Default for Jitter {
    /// Seeded at random, so that replicas do not retry in step.
    fn default() -> Jitter {
        Jitter(fastrand::Rng::new())
    }
}

// === impl Delays ===

impl Delays {
    pub(crate) fn new(schedule: RetrySchedule, jitter: Jitter) -> Delays {
        Delays { schedule, jitter }
    }

    /// As [`RetrySchedule::delay`].
    pub(crate) fn next(&mut self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        self.schedule.delay(attempt, retry_after, &mut self.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_leaves_time_for_others() {
        let ms = Duration::from_millis;
        for (left, share) in [(60_000, 20_000), (9_000, 3_000), (3_000, 1_000), (2_999, 2_999), (10, 10), (0, 0)] {
            assert_eq!(attempt_share(ms(left)), ms(share), "{left}");
        }
    }

    #[test]
    fn a_server_that_is_slower_than_a_share_is_heard() {
        let ms = Duration::from_millis;
        let mut times = AttemptTimes::default();
        assert_eq!(times.limit(ms(6_000)), ms(2_000));
        times.unanswered();
        assert_eq!(times.limit(ms(4_000)).as_millis(), 2_666);
        times.unanswered();
        assert_eq!(times.limit(ms(6_000)), ms(6_000));
        times.answered(ms(2_900));
        assert_eq!(times.limit(ms(9_000)), ms(5_800));
        // Answers that are fast again are expected to be so.
        (0..20).for_each(|_| times.answered(ms(10)));
        assert_eq!(times.limit(ms(6_000)), ms(2_000));
    }

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn intervals_double_up_to_the_longest() {
        let schedule = RetrySchedule::new(FIRST, LONGEST);
        let milliseconds: Vec<u128> = (0..12).map(|attempt| schedule.interval(attempt).as_millis()).collect();
        assert_eq!(milliseconds, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]);
        assert_eq!(schedule.interval(u32::MAX), LONGEST);
    }

    #[test]
    fn jitter_is_full_and_repeatable() {
        let schedule = RetrySchedule::new(FIRST, LONGEST);
        let draw = |seed| -> Vec<Duration> {
            let mut jitter = Jitter::with_seed(seed);
            (0..400).map(|_| schedule.delay(4, None, &mut jitter)).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let delays = draw(3);
        assert!(delays.iter().all(|delay| *delay <= Duration::from_millis(1600)));
        assert!(delays.iter().any(|delay| *delay < Duration::from_millis(100)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_millis(1500)));
    }

    #[test]
    fn the_server_is_given_the_time_that_it_asks_for() {
        let schedule = RetrySchedule::new(FIRST, LONGEST);
        let asked = Duration::from_secs(7);
        let delay = schedule.delay(0, Some(asked), &mut Jitter::with_seed(5));
        assert!(delay >= asked && delay <= asked + FIRST);
    }

    #[test]
    fn what_the_server_asks_for_is_capped_at_the_longest_interval() {
        let schedule = RetrySchedule::new(FIRST, LONGEST);
        for asked in [Duration::from_secs(86_400), Duration::from_secs(u64::MAX), Duration::MAX] {
            let delay = schedule.delay(0, Some(asked), &mut Jitter::with_seed(5));
            assert!(delay >= LONGEST && delay <= LONGEST + FIRST, "{delay:?}");
        }
    }
}
