//! When to poll a shard again: a pure schedule with seeded jitter.

use std::time::Duration;

/// At most 5 calls a second on a shard.
const BUSY: Duration = Duration::from_millis(200);
/// Empty pages are normal in the middle of a shard, so the first ones do not slow down.
const PATIENT_EMPTY_PAGES: u32 = 5;
/// The number of shards to poll quickly after records came on another shard.
const WOKEN_EMPTY_PAGES: u32 = 2;
const FIRST_THROTTLE: Duration = Duration::from_secs(1);
const FIRST_FAILURE: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// How the last call on the shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// A page cut off at its limit.
    FullPage,
    /// A page with records.
    Records,
    /// A page without records.
    Empty,
    /// A page without records of a shard that is closed: its end is to come.
    Draining,
    /// Too many calls.
    Throttled,
    /// Any other failure that passes.
    Failed,
}

/// The schedule of one shard.
#[derive(Debug)]
pub struct Pace {
    random: fastrand::Rng,
    /// The interval between two polls of an idle shard.
    freshness: Duration,
    between_full_pages: Duration,
    empty_pages: u32,
    failures: u32,
}

impl Pace {
    /// A schedule whose jitter is fixed by `seed`. An idle shard is asked once in `freshness`. A full page is followed
    /// after `between_full_pages`.
    pub fn new(seed: u64, freshness: Duration, between_full_pages: Duration) -> Pace {
        let random = fastrand::Rng::with_seed(seed);
        Pace { random, freshness: freshness.max(BUSY), between_full_pages, empty_pages: 0, failures: 0 }
    }

    /// Something came on another shard of the table: this one may be next.
    pub fn wake(&mut self) {
        self.empty_pages = self.empty_pages.min(PATIENT_EMPTY_PAGES - WOKEN_EMPTY_PAGES);
    }

    /// Whether the shard is asked less often than it could be.
    pub fn is_idle(&self) -> bool {
        self.empty_pages > PATIENT_EMPTY_PAGES
    }

    /// Calls in an hour if nothing changes.
    pub fn calls_per_hour(&self) -> f64 {
        3_600.0 / self.after_empty().as_secs_f64()
    }

    /// What is found then must still be written within the freshness.
    fn after_empty(&self) -> Duration {
        let longest = self.freshness.mul_f64(0.85).max(BUSY);
        grown(BUSY, self.empty_pages.saturating_sub(PATIENT_EMPTY_PAGES), longest)
    }

    /// How long after the *start* of the last call the next one may begin.
    pub fn next(&mut self, polled: Polled) -> Duration {
        match polled {
            Polled::Throttled | Polled::Failed => self.failures = self.failures.saturating_add(1),
            _ => self.failures = 0,
        }
        match polled {
            Polled::Empty => self.empty_pages = self.empty_pages.saturating_add(1),
            Polled::FullPage | Polled::Records => self.empty_pages = 0,
            Polled::Throttled | Polled::Failed | Polled::Draining => {}
        }
        match polled {
            Polled::FullPage => self.between_full_pages,
            Polled::Records | Polled::Draining => self.later(BUSY),
            Polled::Empty => self.later(self.after_empty()),
            Polled::Throttled => {
                let wait = grown(FIRST_THROTTLE, self.failures.saturating_sub(1), LONGEST);
                self.later(wait)
            }
            Polled::Failed => {
                let wait = grown(FIRST_FAILURE, self.failures.saturating_sub(1), LONGEST);
                self.later(wait)
            }
        }
    }

    /// Up to a tenth more, so that shards that started together drift apart; never less.
    fn later(&mut self, wait: Duration) -> Duration {
        let most = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX) / 10;
        wait + Duration::from_micros(self.random.u64(0..=most))
    }
}

fn grown(first: Duration, doublings: u32, most: Duration) -> Duration {
    let factor = 2u32.saturating_pow(doublings.min(16));
    first.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDLE: Duration = Duration::from_secs(1);

    fn about(wait: Duration, expected: Duration) {
        assert!(wait >= expected && wait <= expected.mul_f64(1.1), "{wait:?} for {expected:?}");
    }

    #[test]
    fn a_full_page_is_followed_at_once_where_calls_are_not_limited() {
        let mut pace = Pace::new(1, IDLE, Duration::ZERO);
        assert_eq!(pace.next(Polled::FullPage), Duration::ZERO);
        about(pace.next(Polled::Records), BUSY);
    }

    #[test]
    fn a_closed_shard_is_read_to_its_end_without_delay() {
        let mut pace = Pace::new(1, IDLE, BUSY);
        for _ in 0..100 {
            about(pace.next(Polled::Draining), BUSY);
        }
    }

    #[test]
    fn an_idle_shard_is_polled_a_little_more_often_than_its_news_may_be_old() {
        let mut pace = Pace::new(1, IDLE, BUSY);
        for _ in 0..PATIENT_EMPTY_PAGES {
            about(pace.next(Polled::Empty), BUSY);
        }
        about(pace.next(Polled::Empty), 2 * BUSY);
        about(pace.next(Polled::Empty), 4 * BUSY);
        for _ in 0..100 {
            let wait = pace.next(Polled::Empty);
            about(wait, IDLE.mul_f64(0.85));
            assert!(wait < IDLE);
        }
        about(pace.next(Polled::Records), BUSY);
        about(pace.next(Polled::Empty), BUSY);
    }

    #[test]
    fn throttling_backs_off_further_and_is_forgotten_after_a_page() {
        let mut pace = Pace::new(1, IDLE, BUSY);
        for seconds in [1, 2, 4, 8, 10, 10] {
            about(pace.next(Polled::Throttled), Duration::from_secs(seconds));
        }
        about(pace.next(Polled::Records), BUSY);
        about(pace.next(Polled::Throttled), Duration::from_secs(1));
    }

    #[test]
    fn freshness_is_how_often_an_idle_shard_is_asked() {
        for (freshness, expected) in [(200, 200), (5_000, 4_250), (50, 200)] {
            let mut pace = Pace::new(1, Duration::from_millis(freshness), BUSY);
            for _ in 0..50 {
                pace.next(Polled::Empty);
            }
            about(pace.next(Polled::Empty), Duration::from_millis(expected));
        }
    }

    #[test]
    fn a_burst_elsewhere_wakes_an_idle_shard() {
        let mut pace = Pace::new(1, IDLE, BUSY);
        for _ in 0..50 {
            pace.next(Polled::Empty);
        }
        assert!(pace.is_idle() && pace.calls_per_hour() < 3_600.0 / 0.85 + 1.0);
        pace.wake();
        assert!(!pace.is_idle());
        for wait in [BUSY, BUSY, 2 * BUSY] {
            about(pace.next(Polled::Empty), wait);
        }
    }

    proptest! {
        #[test]
        fn five_calls_a_second(seed: u64, calls in proptest::collection::vec(0u8..6, 1..200)) {
            let mut pace = Pace::new(seed, IDLE, BUSY);
            for call in calls {
                let polled = match call {
                    0 => Polled::Records,
                    1 => Polled::Empty,
                    2 => Polled::Throttled,
                    3 => Polled::FullPage,
                    4 => Polled::Draining,
                    _ => Polled::Failed,
                };
                let wait = pace.next(polled);
                prop_assert!(wait >= BUSY && wait <= LONGEST.mul_f64(1.1));
            }
        }
    }
}
