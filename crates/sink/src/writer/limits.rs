//! Adaptive limits: requests in flight, bytes per request, compression. Pure, driven by the answers.

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
mod tests;
