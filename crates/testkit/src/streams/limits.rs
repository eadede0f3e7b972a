//! The call limits of the service, and the time of each shard's last read.

use std::time::{Duration, Instant};

/// DescribeStream, a second, on a stream.
const DESCRIBE_STREAM: f64 = 10.0;
/// GetRecords, a second, on a shard.
const GET_RECORDS: f64 = 5.0;

/// Calls that are allowed: so many a second, and as many at once after a pause.
#[derive(Debug)]
pub(super) struct Allowance {
    a_second: f64,
    left: f64,
    at: Instant,
}

/// When a shard was read.
#[derive(Debug)]
pub(super) struct Reads {
    allowance: Allowance,
    last: Option<Instant>,
}

// === impl Allowance ===

impl Allowance {
    fn new(a_second: f64) -> Self {
        Self { a_second, left: a_second, at: Instant::now() }
    }

    pub(super) fn of_describe_stream() -> Self {
        Self::new(DESCRIBE_STREAM)
    }

    /// Whether one more call is allowed at `now`. One that is refused costs nothing.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let grown = now.saturating_duration_since(self.at).as_secs_f64() * self.a_second;
        (self.left, self.at) = ((self.left + grown).min(self.a_second), now);
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

// === impl Reads ===

impl Reads {
    pub(super) fn new() -> Self {
        Self { allowance: Allowance::new(GET_RECORDS), last: None }
    }

    pub(super) fn is_allowed(&mut self, now: Instant) -> bool {
        self.allowance.take(now)
    }

    /// The shard is read at `now`; since when the read before it was.
    pub(super) fn note(&mut self, now: Instant) -> Option<Duration> {
        let before = self.last.replace(now)?;
        Some(now.saturating_duration_since(before))
    }

    pub(super) fn have_begun(&self) -> bool {
        self.last.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_above_the_rate_are_refused() {
        let start = Instant::now();
        let mut allowance = Allowance::new(5.0);
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let at_once = (0..8).filter(|_| allowance.take(at(0))).count();
        assert_eq!(at_once, 5);
        assert!(!allowance.take(at(150)));
        assert!(allowance.take(at(201)) && !allowance.take(at(202)));
        let steady = (0..100).filter(|call| allowance.take(at(1_000 + call * 200))).count();
        assert_eq!(steady, 100);
        assert_eq!((0..100).filter(|call| allowance.take(at(60_000 + call * 10))).count(), 9);
    }

    #[test]
    fn the_time_between_reads() {
        let start = Instant::now();
        let mut reads = Reads::new();
        assert!(!reads.have_begun());
        assert_eq!(reads.note(start), None);
        assert_eq!(reads.note(start + Duration::from_secs(2)), Some(Duration::from_secs(2)));
        assert!(reads.have_begun());
    }
}
