//! The settings of a writer.

use std::time::Duration;

use streamdex_config::{Compression, LARGEST_BODY, OpenSearch};

/// What a writer does about a state that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It pauses until the state ends: `run`.
    Endless,
    /// It stops with an error: one-shot commands.
    OneShot {
        /// After this long without a decision, where there has been none at all.
        at_start: Duration,
        /// After this long without a decision later.
        later: Duration,
    },
}

/// What becomes of refused operations of a streak that is too short for the brake, once nothing else of their index
/// waits to be sent that could show whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortStreak {
    /// They are refused after a while without anything else: a reader that waits for them could never bring it.
    Refuse {
        /// Where the index has accepted an index operation before.
        proven: Duration,
        /// Where it never has.
        unproven: Duration,
    },
    /// They are refused at once where the index has accepted an index operation before. Otherwise they are given back
    /// undecided, until the streak has lasted so long; then they are refused. For callers that come again with them, as
    /// the Lambda function.
    GiveBack {
        /// What [`Learned`](super::Learned) has seen of the streak counts, not this writer alone.
        unproven: Duration,
    },
}

/// How a writer works.
#[derive(Debug, Clone)]
pub struct WriterSettings {
    /// Whether bodies are compressed.
    pub compression: Compression,
    /// A request is closed at this size, uncompressed.
    pub max_batch_bytes: usize,
    /// A request is closed at this many operations.
    pub max_batch_operations: usize,
    /// Requests in flight.
    pub max_concurrent_requests: usize,
    /// The client's deadline; an answer that takes a quarter of it is a sign of overload.
    pub request_timeout: Duration,
    /// How long operations wait for company while another request is in flight.
    pub linger: Duration,
    /// Bytes of operations that are held at most; `write` waits beyond it.
    pub memory: usize,
    /// The first interval between attempts.
    pub first_retry: Duration,
    /// The longest interval between attempts.
    pub longest_retry: Duration,
    /// Operations from reads older than this are not sent, but read again.
    pub oldest_read: Duration,
    /// How long requests in flight are waited for after cancellation.
    pub stop_grace: Duration,
    /// What is done about a state that lasts.
    pub patience: Patience,
    /// The brake: after so many refused documents of one index in a row, without an accepted index operation, the index
    /// pauses. For refusals that name no field; 0: never.
    pub brake_after: usize,
    /// As `brake_after`, for all refusals together.
    pub brake_after_field: usize,
    /// What becomes of a streak that is too short for the brake.
    pub short_streak: ShortStreak,
    /// The seed of jitter and hashes; `None`: a random one.
    pub seed: Option<u64>,
}

// === impl ShortStreak, Patience, WriterSettings ===

impl ShortStreak {
    /// A person watches a one-shot command and its dead letters; `run` is on its own.
    fn of(patience: Patience) -> ShortStreak {
        let seconds = Duration::from_secs;
        match patience {
            Patience::Endless => ShortStreak::Refuse { proven: seconds(2), unproven: seconds(60) },
            Patience::OneShot { .. } => ShortStreak::Refuse { proven: seconds(1), unproven: seconds(1) },
        }
    }
}

impl Patience {
    /// Ten seconds at the start, a minute later.
    pub fn one_shot() -> Patience {
        Patience::OneShot { at_start: Duration::from_secs(10), later: Duration::from_secs(60) }
    }
}

impl WriterSettings {
    /// As configured.
    pub fn new(settings: &OpenSearch, patience: Patience) -> WriterSettings {
        WriterSettings {
            compression: settings.compression,
            max_batch_bytes: settings.max_batch_bytes.min(LARGEST_BODY),
            max_batch_operations: settings.max_batch_operations.max(1),
            max_concurrent_requests: settings.max_concurrent_requests.max(1),
            request_timeout: settings.request_timeout,
            linger: Duration::from_millis(100),
            memory: 64 * 1024 * 1024,
            first_retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(30),
            oldest_read: Duration::from_secs(30),
            stop_grace: Duration::from_secs(8),
            patience,
            brake_after: bound(settings.brake_after),
            brake_after_field: bound(settings.brake_after_field),
            short_streak: ShortStreak::of(patience),
            seed: None,
        }
    }

    /// Whether an index can come under the brake.
    pub fn brakes(&self) -> bool {
        self.brake_after > 0 || self.brake_after_field > 0
    }
}

/// A bound of the brake; 0 where it is off.
fn bound(after: Option<u32>) -> usize {
    after.map_or(0, |after| usize::try_from(after).unwrap_or(usize::MAX))
}
