//! The two clocks of a worker, and the time of the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use streamdex_dynamodb::time::unix_seconds;
use tokio::time::Instant;

/// The clocks of a worker. Neither is enough alone: the monotonic clock stops while the machine is suspended, and the
/// wall clock can be set.
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

    /// The time since then, by the clock that shows more.
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

/// DynamoDB's clock, from the `Date` of its answers. Stored times and ages use it, since this machine's clock can be
/// set. If a service sends no `Date`, as some emulators do, this machine's clock is used.
#[derive(Debug)]
pub struct ServiceTime {
    clock: Arc<dyn Clock>,
    /// The newest `Date`, and when it came.
    heard: Mutex<Option<(u64, Duration)>>,
}

// === impl ServiceTime ===

impl ServiceTime {
    /// Nothing was heard yet.
    pub fn new(clock: Arc<dyn Clock>) -> ServiceTime {
        ServiceTime { clock, heard: Mutex::new(None) }
    }

    /// The moment at which a call begins, for [`ServiceTime::hear`].
    pub fn asked(&self) -> Duration {
        self.clock.monotonic()
    }

    /// An answer to a call that was `asked` for had this `Date`, in seconds since 1970. When it comes, the time is between
    /// that second and its end, and what the call took: what is known already is kept where it lies between them.
    pub fn hear(&self, asked: Duration, date: Option<u64>) {
        let Some(date) = date else { return };
        let now = self.clock.monotonic();
        let took = now.saturating_sub(asked).as_secs();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let known = heard.map_or(date, |(date, at)| date.saturating_add(now.saturating_sub(at).as_secs()));
        let time = known.clamp(date, date.saturating_add(took).saturating_add(1));
        if heard.is_none() || time != known {
            *heard = Some((time, now));
        }
    }

    /// Seconds since 1970.
    pub fn now(&self) -> u64 {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard {
            Some((date, at)) => date.saturating_add(self.clock.monotonic().saturating_sub(at).as_secs()),
            None => unix_seconds(self.clock.wall()),
        }
    }

    /// How long ago that was, in seconds since 1970.
    pub fn age(&self, then: u64) -> Duration {
        Duration::from_secs(self.now().saturating_sub(then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Set(Mutex<(u64, u64)>);

    impl Clock for Set {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().0)
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.lock().unwrap().1)
        }
    }

    #[test]
    fn the_time_of_day_of_this_machine_counts_only_where_no_other_is_known() {
        let clock = Arc::new(Set(Mutex::new((10, 5_000))));
        let time = ServiceTime::new(clock.clone());
        assert_eq!((time.now(), time.age(4_990)), (5_000, Duration::from_secs(10)));
        time.hear(time.asked(), Some(1_800_000_000));
        *clock.0.lock().unwrap() = (17, 86_400);
        time.hear(time.asked(), None);
        assert_eq!((time.now(), time.age(1_800_000_000)), (1_800_000_007, Duration::from_secs(7)));
        assert_eq!(time.age(1_900_000_000), Duration::ZERO);
    }

    #[test]
    fn a_slow_answer_does_not_set_the_time_back() {
        let clock = Arc::new(Set(Mutex::new((10, 5_000))));
        let time = ServiceTime::new(clock.clone());
        time.hear(time.asked(), Some(1_800_000_000));
        let asked = time.asked();
        *clock.0.lock().unwrap() = (20, 5_000);
        time.hear(asked, Some(1_800_000_001));
        assert_eq!(time.now(), 1_800_000_010, "the answer was under way for nine seconds");
        time.hear(time.asked(), Some(1_800_000_013));
        assert_eq!(time.now(), 1_800_000_013);
        time.hear(time.asked(), Some(1_800_000_005));
        assert_eq!(time.now(), 1_800_000_006, "what came at once is right to a second");
        time.hear(time.asked(), Some(1_799_999_000));
        assert_eq!(time.now(), 1_799_999_001, "this machine's clock ran too fast");
    }
}
