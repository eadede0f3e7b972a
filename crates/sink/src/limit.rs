//! How much is sent at a time: requests in flight and bytes per request. Pure, driven by the answers.

use std::time::Duration;

/// Requests in flight: one more per round of good answers, half as many when the server is overloaded.
#[derive(Debug, Clone)]
pub struct Concurrency {
    /// In thousandths of a request, because a round of good answers adds one in all.
    current: usize,
    most: usize,
    round: u64,
}

/// Which decrease a request was sent before; answers to requests sent before the last one count no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round(u64);

/// Bytes per request: lowered for good by 413, for a while by a circuit breaker.
#[derive(Debug, Clone)]
pub struct ByteCap {
    current: usize,
    ceiling: usize,
}

const ONE: usize = 1000;
/// The start, unless the most is lower: the first answers come before the pace is known.
const START: usize = 2 * ONE;
/// An answer that took longer than this part of the deadline is a sign of overload.
const SLOW_PART: u32 = 4;
/// Caps are not lowered below this; a single larger document is still sent alone.
const LOWEST_CAP: usize = 64 * 1024;

// === impl Concurrency ===

impl Concurrency {
    /// At most `most` requests, at least one.
    pub fn new(most: usize) -> Concurrency {
        let most = most.max(1).saturating_mul(ONE);
        Concurrency { current: START.min(most), most, round: 0 }
    }

    /// How many requests may be in flight now.
    pub fn limit(&self) -> usize {
        self.current / ONE
    }

    /// To be kept with a request that is sent now.
    pub fn round(&self) -> Round {
        Round(self.round)
    }

    /// A request was answered in time while as many were in flight as allowed.
    pub fn succeeded(&mut self) {
        self.current = (self.current + ONE * ONE / self.current.max(ONE)).min(self.most);
    }

    /// The server had too much, with a request that was sent in `round`.
    pub fn overloaded(&mut self, round: Round) {
        if round.0 == self.round {
            self.round += 1;
            self.current = (self.current / 2).max(ONE);
        }
    }

    /// Whether an answer came so late that the deadline is near.
    pub fn is_slow(took: Duration, deadline: Duration) -> bool {
        took > deadline / SLOW_PART
    }
}

// === impl ByteCap ===

impl ByteCap {
    /// At most `most` bytes.
    pub fn new(most: usize) -> ByteCap {
        ByteCap { current: most, ceiling: most }
    }

    /// How many bytes a request of several operations may have now.
    pub fn get(&self) -> usize {
        self.current
    }

    /// A request of `bytes` was too large (413).
    pub fn too_large(&mut self, bytes: usize) {
        self.ceiling = self.ceiling.min((bytes / 2).max(LOWEST_CAP));
        self.current = self.current.min(self.ceiling);
    }

    /// A circuit breaker had too much.
    pub fn broke(&mut self) {
        self.current = (self.current / 2).max(LOWEST_CAP).min(self.ceiling);
    }

    /// A request was answered in time.
    pub fn succeeded(&mut self) {
        self.current = (self.current + self.ceiling / 16).min(self.ceiling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_of_good_answers_adds_one_request() {
        let mut concurrency = Concurrency::new(8);
        assert_eq!(concurrency.limit(), 2);
        for limit in 2..8 {
            assert_eq!(concurrency.limit(), limit);
            // One more than the limit, since thousandths are rounded down.
            (0..=limit).for_each(|_| concurrency.succeeded());
        }
        (0..100).for_each(|_| concurrency.succeeded());
        assert_eq!(concurrency.limit(), 8);
    }

    #[test]
    fn overload_halves_once_for_all_requests_of_a_round() {
        let mut concurrency = Concurrency::new(8);
        (0..100).for_each(|_| concurrency.succeeded());
        let round = concurrency.round();
        (0..8).for_each(|_| concurrency.overloaded(round));
        assert_eq!(concurrency.limit(), 4);
        concurrency.overloaded(concurrency.round());
        assert_eq!(concurrency.limit(), 2);
        for _ in 0..5 {
            concurrency.overloaded(concurrency.round());
        }
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn one_request_is_the_least_and_the_most() {
        assert_eq!(Concurrency::new(0).limit(), 1);
        assert_eq!(Concurrency::new(1).limit(), 1);
    }

    #[test]
    fn a_413_lowers_the_cap_for_good_and_a_breaker_for_a_while() {
        const MIB: usize = 1024 * 1024;
        let mut cap = ByteCap::new(8 * MIB);
        cap.broke();
        assert_eq!(cap.get(), 4 * MIB);
        (0..16).for_each(|_| cap.succeeded());
        assert_eq!(cap.get(), 8 * MIB);
        cap.too_large(6 * MIB);
        assert_eq!(cap.get(), 3 * MIB);
        (0..100).for_each(|_| cap.succeeded());
        assert_eq!(cap.get(), 3 * MIB);
        cap.too_large(100);
        assert_eq!(cap.get(), LOWEST_CAP);
    }

    #[test]
    fn slow_is_a_quarter_of_the_deadline() {
        let deadline = Duration::from_secs(60);
        assert!(!Concurrency::is_slow(Duration::from_secs(15), deadline));
        assert!(Concurrency::is_slow(Duration::from_secs(16), deadline));
    }
}
