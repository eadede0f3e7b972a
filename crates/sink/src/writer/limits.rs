//! How much is sent at a time: requests in flight, bytes per request, compression. Pure, driven by the answers.

use std::time::Duration;

use streamdex_config::Compression;
use tokio::time::Instant;

use super::settings::WriterSettings;
use crate::classify::Trouble;
use crate::client::BodyEncoding;

/// All limits of a writer's requests.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    concurrency: Concurrency,
    bytes: ByteCap,
    encoding: Encoding,
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

/// Bytes per request: lowered by 413, and for a shorter while by a circuit breaker or by silence. It grows again in both
/// cases: what answered 413 may have been a proxy that is gone.
#[derive(Debug, Clone)]
struct ByteCap {
    current: usize,
    /// Up to which it grows; lowered by 413 alone.
    ceiling: usize,
    most: usize,
    /// Requests accepted since the ceiling was last changed.
    accepted: u32,
    /// How many must be accepted before the ceiling is tried higher; doubles with each 413.
    patience: u32,
}

/// Compression: left out for a while after it was refused, since one refusal may have been a proxy's.
#[derive(Debug, Clone)]
struct Encoding {
    configured: Compression,
    plain_until: Option<Instant>,
    /// How long it is left out next time.
    next: Duration,
}

const ONE: usize = 1000;
/// The start, unless the most is lower: the first answers come before the pace is known.
const START: usize = 2 * ONE;
/// An answer that took longer than this part of the deadline is a sign of overload.
const SLOW_PART: u32 = 4;
/// Requests accepted before a ceiling that a 413 lowered is tried higher, the first time and at most.
const PATIENCE: u32 = 100;
const MOST_PATIENCE: u32 = 3_200;
/// How long compression is left out, the first time and at most.
const PLAIN: Duration = Duration::from_secs(600);
const LONGEST_PLAIN: Duration = Duration::from_secs(86_400);
/// Caps are not lowered below this; a single larger document is still sent alone.
const LOWEST_CAP: usize = 64 * 1024;

// === impl Limits ===

impl Limits {
    pub(super) fn new(settings: &WriterSettings) -> Limits {
        Limits {
            concurrency: Concurrency::new(settings.max_concurrent_requests),
            bytes: ByteCap::new(settings.max_batch_bytes),
            encoding: Encoding::new(settings.compression),
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
    pub(super) fn encoding(&self, now: Instant) -> BodyEncoding {
        self.encoding.get(now)
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
            Trouble::Unavailable | Trouble::ServerError | Trouble::Unexpected => return false,
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

    /// A whole request of `bytes` got no answer in time, or 502 to 504 in its place.
    pub(super) fn too_slow(&mut self, bytes: usize) {
        self.bytes.unanswered(bytes);
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

    /// A request was refused with compression and taken without. `None` where that was known; otherwise how long
    /// requests go without it now.
    pub(super) fn leave_out_compression(&mut self, now: Instant) -> Option<Duration> {
        self.encoding.leave_out(now)
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

// === impl Encoding ===

impl Encoding {
    fn new(configured: Compression) -> Encoding {
        Encoding { configured, plain_until: None, next: PLAIN }
    }

    fn get(&self, now: Instant) -> BodyEncoding {
        match self.configured {
            Compression::Gzip if self.plain_until.is_none_or(|until| until <= now) => BodyEncoding::Gzip,
            Compression::Gzip | Compression::None => BodyEncoding::Identity,
        }
    }

    fn leave_out(&mut self, now: Instant) -> Option<Duration> {
        if self.get(now) == BodyEncoding::Identity {
            return None;
        }
        let out = self.next;
        self.plain_until = Some(now + out);
        self.next = out.saturating_mul(2).min(LONGEST_PLAIN);
        Some(out)
    }
}

// === impl ByteCap ===

impl ByteCap {
    /// At most `most` bytes.
    fn new(most: usize) -> ByteCap {
        ByteCap { current: most, ceiling: most, most, accepted: 0, patience: PATIENCE }
    }

    /// How many bytes a request of several operations may have now.
    fn get(&self) -> usize {
        self.current
    }

    /// A request of `bytes` was too large (413).
    fn too_large(&mut self, bytes: usize) {
        // It says nothing of larger ones: whatever answers so does it to everything, or the cap is at its lowest.
        if bytes <= LOWEST_CAP {
            return;
        }
        self.ceiling = self.ceiling.min((bytes / 2).max(LOWEST_CAP));
        self.current = self.current.min(self.ceiling);
        self.accepted = 0;
        self.patience = self.patience.saturating_mul(2).min(MOST_PATIENCE);
    }

    /// A circuit breaker had too much.
    fn broke(&mut self) {
        self.current = (self.current / 2).max(LOWEST_CAP).min(self.ceiling);
    }

    /// A request of `bytes` got no answer in time.
    fn unanswered(&mut self, bytes: usize) {
        // A small one says nothing of larger ones.
        if bytes > LOWEST_CAP {
            self.current = self.current.min((bytes / 2).max(LOWEST_CAP));
        }
    }

    /// A request was answered in time.
    fn succeeded(&mut self) {
        self.current = (self.current + self.ceiling / 16).min(self.ceiling);
        if self.ceiling < self.most {
            self.accepted += 1;
        }
        if self.accepted >= self.patience {
            self.accepted = 0;
            self.ceiling = self.ceiling.saturating_mul(2).min(self.most);
        }
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
    fn a_413_lowers_the_cap_for_long_and_a_breaker_for_a_while() {
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
        cap.too_large(100_000);
        assert_eq!(cap.get(), LOWEST_CAP);
        let mut cap = ByteCap::new(8 * MIB);
        cap.too_large(118);
        assert_eq!(cap.get(), 8 * MIB, "a 413 to everything says nothing of the size");
    }

    #[test]
    fn a_cap_that_a_413_lowered_grows_again_and_ever_more_slowly_where_it_comes_back() {
        const MIB: usize = 1024 * 1024;
        let accepted_until_grown = |cap: &mut ByteCap| {
            let low = cap.get();
            (1..).find(|_| {
                cap.succeeded();
                cap.get() > low
            })
        };
        let mut cap = ByteCap::new(8 * MIB);
        cap.too_large(8 * MIB);
        let first = accepted_until_grown(&mut cap).unwrap();
        (0..16).for_each(|_| cap.succeeded());
        assert_eq!(cap.get(), 8 * MIB);
        cap.too_large(8 * MIB);
        let second = accepted_until_grown(&mut cap).unwrap();
        assert!(second > first && second < 2 * first + 10, "{first} {second}");
        // One spurious 413 to a small request.
        cap.too_large(100_000);
        (0..10_000).for_each(|_| cap.succeeded());
        assert_eq!(cap.get(), 8 * MIB);
    }

    #[test]
    fn silence_halves_the_bytes_of_what_was_sent_and_they_grow_again() {
        const MIB: usize = 1024 * 1024;
        let mut cap = ByteCap::new(8 * MIB);
        cap.unanswered(2 * MIB);
        assert_eq!(cap.get(), MIB);
        cap.unanswered(8 * MIB);
        assert_eq!(cap.get(), MIB, "it was sent before the cap was lowered");
        cap.unanswered(MIB);
        assert_eq!(cap.get(), MIB / 2);
        cap.unanswered(100);
        assert_eq!(cap.get(), MIB / 2);
        cap.unanswered(LOWEST_CAP + 1);
        assert_eq!(cap.get(), LOWEST_CAP);
        (0..16).for_each(|_| cap.succeeded());
        assert_eq!(cap.get(), 8 * MIB);
        let mut low = ByteCap::new(1000);
        low.unanswered(1000);
        assert_eq!(low.get(), 1000, "a configured cap below the lowest stays");
    }

    #[test]
    fn slow_is_a_quarter_of_the_deadline() {
        let deadline = Duration::from_secs(60);
        assert!(!Concurrency::is_slow(Duration::from_secs(15), deadline));
        assert!(Concurrency::is_slow(Duration::from_secs(16), deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn compression_is_left_out_for_a_while_and_longer_each_time() {
        let (mut encoding, now) = (Encoding::new(Compression::Gzip), Instant::now());
        assert_eq!(encoding.get(now), BodyEncoding::Gzip);
        assert_eq!(encoding.leave_out(now), Some(PLAIN));
        assert_eq!((encoding.leave_out(now), encoding.get(now)), (None, BodyEncoding::Identity));
        let later = now + PLAIN;
        assert_eq!(encoding.get(later), BodyEncoding::Gzip);
        assert_eq!(encoding.leave_out(later), Some(PLAIN * 2));
        (0..40).for_each(|day| {
            encoding.leave_out(later + LONGEST_PLAIN * (day + 1));
        });
        assert_eq!(encoding.next, LONGEST_PLAIN);
        assert_eq!(Encoding::new(Compression::None).get(now), BodyEncoding::Identity);
    }

    #[test]
    fn only_an_overload_lowers_the_limits() {
        let rows = [
            (Trouble::Overloaded, 1, 1 << 20),
            (Trouble::Breaker, 1, 1 << 19),
            (Trouble::Unavailable, 2, 1 << 20),
            (Trouble::ServerError, 2, 1 << 20),
            (Trouble::Unexpected, 2, 1 << 20),
        ];
        for (trouble, requests, bytes) in rows {
            let mut limits = Limits {
                concurrency: Concurrency::new(8),
                bytes: ByteCap::new(1 << 20),
                encoding: Encoding::new(Compression::None),
            };
            assert_eq!(limits.note_trouble(trouble, limits.round()), requests == 1);
            assert_eq!((limits.requests(), limits.bytes()), (requests, bytes), "{trouble:?}");
        }
    }
}
