//! How a writer works, and when it gives up.

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
    /// The seed of jitter and hashes; `None`: a random one.
    pub seed: Option<u64>,
}

// === impl Patience, WriterSettings ===

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
            seed: None,
        }
    }
}
