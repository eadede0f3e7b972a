//! The counters of a writer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the classes in [`WriterStats::latency`], in milliseconds. The last class is open.
pub const LATENCY_BOUNDS: [u32; LATENCY_CLASSES - 1] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

const LATENCY_CLASSES: usize = 14;

/// A writer's counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterStats {
    /// Requests answered, or not answered in time.
    pub requests: u64,
    /// Bytes of bulk bodies before compression, of those requests.
    pub bytes: u64,
    /// How long those requests took, added up.
    pub took: Duration,
    /// How many of them took how long; see [`LATENCY_BOUNDS`].
    pub latency: [u64; LATENCY_CLASSES],
    /// Operations with a final decision.
    pub decided: u64,
    /// Operations that were sent again or given back to be read again.
    pub retried: u64,
    /// Answers, of items or whole requests, that the server has too much to do.
    pub overloaded: u64,
    /// Requests of which it is not known whether they were carried out: no answer came, or none that can be read. What was
    /// in them is sent again.
    pub unanswered: u64,
    /// Requests that were divided.
    pub split: u64,
    /// Requests in flight now.
    pub in_flight: u64,
    /// Requests that may be in flight now.
    pub limit: u64,
    /// Bytes that a request may have now.
    pub byte_cap: u64,
    /// Operations that wait to be sent.
    pub waiting: u64,
    /// How often something was paused, by the name of the reason.
    pub paused: BTreeMap<&'static str, u64>,
    /// The last error, scrubbed.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) bytes: AtomicU64,
    took_micros: AtomicU64,
    latency: [AtomicU64; LATENCY_CLASSES],
    pub(super) decided: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) overloaded: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) split: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) limit: AtomicU64,
    pub(super) byte_cap: AtomicU64,
    pub(super) waiting: AtomicU64,
    paused: Mutex<BTreeMap<&'static str, u64>>,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set(gauge: &AtomicU64, value: usize) {
        gauge.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn note_request(&self, bytes: usize, took: Duration) {
        Counters::add(&self.requests, 1);
        Counters::add(&self.bytes, bytes);
        self.took_micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let class = LATENCY_BOUNDS.iter().position(|bound| took <= Duration::from_millis(u64::from(*bound)));
        if let Some(count) = self.latency.get(class.unwrap_or(LATENCY_BOUNDS.len())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn note_pause(&self, reason: &'static str) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    pub(super) fn note_error(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn snapshot(&self) -> WriterStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriterStats {
            requests: get(&self.requests),
            bytes: get(&self.bytes),
            took: Duration::from_micros(get(&self.took_micros)),
            latency: self.latency.each_ref().map(get),
            decided: get(&self.decided),
            retried: get(&self.retried),
            overloaded: get(&self.overloaded),
            unanswered: get(&self.unanswered),
            split: get(&self.split),
            in_flight: get(&self.in_flight),
            limit: get(&self.limit),
            byte_cap: get(&self.byte_cap),
            waiting: get(&self.waiting),
            paused: self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            last_error: self.last_error(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_how_long_they_took() {
        let counters = Counters::default();
        for milliseconds in [1, 5, 6, 60_000, 60_001, 900_000] {
            counters.note_request(10, Duration::from_millis(milliseconds));
        }
        let stats = counters.snapshot();
        assert_eq!(stats.latency, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((stats.requests, stats.bytes, stats.latency.iter().sum()), (6, 60, 6_u64));
    }
}
