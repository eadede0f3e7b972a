//! The reader's own view of its lease.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_sink::Permit;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::TENURE;
use crate::clock::{Clock, Moment};

/// The time in which a reader may write: until [`TENURE`] after its last confirmed beat was *sent*, by whichever of its
/// two clocks says more. A beat is stored only while this worker has the lease. So a beat that is confirmed late still
/// renews it: nobody else had the lease in between.
#[derive(Debug)]
pub struct Tenure {
    clock: Arc<dyn Clock>,
    confirmed: Mutex<Moment>,
    over: CancellationToken,
    prolonged: Notify,
}

const CHECK_AGAIN: Duration = Duration::from_millis(250);

// === impl Tenure ===

impl Tenure {
    /// Begins with the write that was sent at `confirmed`, and was answered.
    pub fn new(clock: Arc<dyn Clock>, confirmed: Moment) -> Tenure {
        let (over, prolonged) = (CancellationToken::new(), Notify::new());
        Tenure { clock, confirmed: Mutex::new(confirmed), over, prolonged }
    }

    /// The beat that was sent at `sent` is stored.
    pub fn confirm(&self, sent: Moment) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = sent;
        self.prolonged.notify_waiters();
    }

    /// Cancelled when the lease is lost or given back: it is not granted again.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Ends it for good.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Returns when it is granted, or over for good.
    pub(crate) async fn granted(&self) {
        loop {
            let prolonged = self.prolonged.notified();
            if self.is_granted() || self.over.is_cancelled() {
                return;
            }
            tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                () = prolonged => {}
                () = sleep(CHECK_AGAIN) => {}
            }
        }
    }

    fn left(&self) -> Duration {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        TENURE.saturating_sub(confirmed.age(self.clock.as_ref()))
    }
}

#[async_trait]
impl Permit for Tenure {
    fn is_granted(&self) -> bool {
        !self.over.is_cancelled() && !self.left().is_zero()
    }

    async fn revoked(&self) {
        while self.is_granted() {
            tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                // In small steps: this sleep is measured by the one clock that can stand still.
                () = sleep(self.left().min(CHECK_AGAIN)) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::SystemTime;

    use super::*;

    /// Both clocks, in seconds, as a test sets them.
    #[derive(Debug, Default)]
    struct Set {
        monotonic: AtomicU64,
        wall: AtomicU64,
    }

    impl Clock for Set {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.monotonic.load(Ordering::SeqCst))
        }

        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.wall.load(Ordering::SeqCst))
        }
    }

    fn begun() -> (Arc<Set>, Tenure) {
        let clock = Arc::new(Set { monotonic: 100.into(), wall: 10_000.into() });
        let now = Moment::now(clock.as_ref());
        (Arc::clone(&clock), Tenure::new(clock, now))
    }

    #[test]
    fn either_clock_ends_a_tenure() {
        for (monotonic, wall, granted) in
            [(0, 0, true), (4, 4, true), (5, 0, false), (0, 5, false), (4, -3_600, true), (5, -3_600, false)]
        {
            let (clock, tenure) = begun();
            clock.monotonic.fetch_add(monotonic, Ordering::SeqCst);
            clock.wall.store(10_000_u64.saturating_add_signed(wall), Ordering::SeqCst);
            assert_eq!(tenure.is_granted(), granted, "{monotonic} s, {wall} s");
        }
    }

    #[test]
    fn a_beat_prolongs_it_and_grants_it_again() {
        let (clock, tenure) = begun();
        for _ in 0..5 {
            clock.monotonic.fetch_add(3, Ordering::SeqCst);
            tenure.confirm(Moment::now(clock.as_ref()));
            assert!(tenure.is_granted());
        }
        // The time of day is set a day ahead: the next beat is stored, so the lease is still this worker's.
        clock.wall.fetch_add(86_400, Ordering::SeqCst);
        assert!(!tenure.is_granted());
        tenure.confirm(Moment::now(clock.as_ref()));
        assert!(tenure.is_granted());
        clock.wall.fetch_sub(86_400, Ordering::SeqCst);
        assert!(tenure.is_granted(), "and set back");
        tenure.end();
        tenure.confirm(Moment::now(clock.as_ref()));
        assert!(!tenure.is_granted() && tenure.over().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn its_end_is_noticed_in_time() {
        let clock = Arc::new(crate::clock::SystemClock::default());
        let began = tokio::time::Instant::now();
        let tenure = Arc::new(Tenure::new(clock.clone(), Moment::now(clock.as_ref())));
        let noticed = tokio::spawn({
            let tenure = Arc::clone(&tenure);
            async move { tenure.revoked().await }
        });
        tokio::time::sleep(Duration::from_secs(3)).await;
        tenure.confirm(Moment::now(clock.as_ref()));
        noticed.await.unwrap();
        // The wall clock stands still in a test on paused time.
        assert!((Duration::from_millis(7_500)..Duration::from_millis(7_600)).contains(&began.elapsed()));
    }
}
