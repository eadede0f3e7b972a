//! How much is sent at a time: requests in flight, bytes per request, compression. Pure, driven by the answers.

use std::time::Duration;

use streamdex_config::Compression;

use super::settings::WriterSettings;
use crate::classify::Trouble;
use crate::client::BodyEncoding;

/// All limits of a writer's requests.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    concurrency: Concurrency,
    bytes: ByteCap,
    compression: Compression,
}

/// Requests in flight: one more per round of good answers, half as many when the server is overloaded.
#[derive(Debug, Clone)]
struct Concurrency {
    /// In thousandths of a request, because a round of good answers adds one in all.
    current: usize,
    most: usize,
    round: u64,
}

/// Which decrease a request was sent before; answers to requests sent before the last one count no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round(u64);

/// Bytes per request: lowered for good by 413, for a while by a circuit breaker.
#[derive(Debug, Clone)]
struct ByteCap {
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

// === impl Limits ===

impl Limits {
    pub(super) fn new(settings: &WriterSettings) -> Limits {
        Limits {
            concurrency: Concurrency::new(settings.max_concurrent_requests),
            bytes: ByteCap::new(settings.max_batch_bytes),
            compression: settings.compression,
        }
    }

    /// How many requests may be in flight now.
    pub(super) fn requests(&self) -> usize {
        self.concurrency.limit()
    }

    /// How many bytes a request of several operations may have now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// How bodies are encoded now.
    pub(super) fn encoding(&self) -> BodyEncoding {
        match self.compression {
            Compression::Gzip => BodyEncoding::Gzip,
            Compression::None => BodyEncoding::Identity,
        }
    }

    /// To be kept with a request that is sent now.
    pub(super) fn round(&self) -> Round {
        self.concurrency.round()
    }

    /// A request of `round` took this long. An answer near the deadline is a sign of overload.
    pub(super) fn note_duration(&mut self, took: Duration, deadline: Duration, round: Round) {
        if Concurrency::is_slow(took, deadline) {
            self.concurrency.overloaded(round);
        }
    }

    /// A request of `round` met `trouble`. True where the server has too much to do.
    pub(super) fn note_trouble(&mut self, trouble: Trouble, round: Round) -> bool {
        match trouble {
            Trouble::Unavailable | Trouble::ServerError => return false,
            Trouble::Breaker => self.bytes.broke(),
            Trouble::Overloaded => {}
        }
        self.concurrency.overloaded(round);
        true
    }

    /// A request of `round` got no answer.
    pub(super) fn unanswered(&mut self, round: Round) {
        self.concurrency.overloaded(round);
    }

    /// A request of `bytes` was too large (413).
    pub(super) fn too_large(&mut self, bytes: usize) {
        self.bytes.too_large(bytes);
    }

    /// A request was carried out while as many were in flight as allowed.
    pub(super) fn raise_requests(&mut self) {
        self.concurrency.succeeded();
    }

    /// A request was carried out.
    pub(super) fn raise_bytes(&mut self) {
        self.bytes.succeeded();
    }

    /// Requests are refused with compression and taken without. True where that was not known.
    pub(super) fn give_up_compression(&mut self) -> bool {
        let known = self.compression == Compression::None;
        self.compression = Compression::None;
        !known
    }
}

// === impl Concurrency ===

impl Concurrency {
    /// At most `most` requests, at least one.
    fn new(most: usize) -> Concurrency {
        let most = most.max(1).saturating_mul(ONE);
        Concurrency { current: START.min(most), most, round: 0 }
    }

    /// How many requests may be in flight now.
    fn limit(&self) -> usize {
        self.current / ONE
    }

    /// To be kept with a request that is sent now.
    fn round(&self) -> Round {
        Round(self.round)
    }

    /// A request was answered in time while as many were in flight as allowed.
    fn succeeded(&mut self) {
        self.current = (self.current + ONE * ONE / self.current.max(ONE)).min(self.most);
    }

    /// The server had too much, with a request that was sent in `round`.
    fn overloaded(&mut self, round: Round) {
        if round.0 == self.round {
            self.round += 1;
            self.current = (self.current / 2).max(ONE);
        }
    }

    /// Whether an answer came so late that the deadline is near.
    fn is_slow(took: Duration, deadline: Duration) -> bool {
        took > deadline / SLOW_PART
    }
}

// === impl ByteCap ===

impl ByteCap {
    /// At most `most` bytes.
    fn new(most: usize) -> ByteCap {
        ByteCap { current: most, ceiling: most }
    }

    /// How many bytes a request of several operations may have now.
    fn get(&self) -> usize {
        self.current
    }

    /// A request of `bytes` was too large (413).
    fn too_large(&mut self, bytes: usize) {
        self.ceiling = self.ceiling.min((bytes / 2).max(LOWEST_CAP));
        self.current = self.current.min(self.ceiling);
    }

    /// A circuit breaker had too much.
    fn broke(&mut self) {
        self.current = (self.current / 2).max(LOWEST_CAP).min(self.ceiling);
    }

    /// A request was answered in time.
    fn succeeded(&mut self) {
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

    #[test]
    fn compression_is_given_up_once() {
        let mut limits =
            Limits { concurrency: Concurrency::new(8), bytes: ByteCap::new(1 << 20), compression: Compression::Gzip };
        assert_eq!(limits.encoding(), BodyEncoding::Gzip);
        assert!(limits.give_up_compression());
        assert!(!limits.give_up_compression());
        assert_eq!(limits.encoding(), BodyEncoding::Identity);
    }

    #[test]
    fn only_an_overload_lowers_the_limits() {
        let rows = [
            (Trouble::Overloaded, 1, 1 << 20),
            (Trouble::Breaker, 1, 1 << 19),
            (Trouble::Unavailable, 2, 1 << 20),
            (Trouble::ServerError, 2, 1 << 20),
        ];
        for (trouble, requests, bytes) in rows {
            let mut limits = Limits {
                concurrency: Concurrency::new(8),
                bytes: ByteCap::new(1 << 20),
                compression: Compression::None,
            };
            assert_eq!(limits.note_trouble(trouble, limits.round()), requests == 1);
            assert_eq!((limits.requests(), limits.bytes()), (requests, bytes), "{trouble:?}");
        }
    }
}
