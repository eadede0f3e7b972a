//! Whether the task of a shard is alive.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Signs of life of one shard's task, for the watchdog, and what it expects to do.
#[derive(Debug)]
pub(crate) struct Vital(Mutex<Signs>);

#[derive(Debug)]
struct Signs {
    touched: Instant,
    calls_per_hour: f64,
}

impl Default for Vital {
    fn default() -> Vital {
        Vital(Mutex::new(Signs { touched: Instant::now(), calls_per_hour: 0.0 }))
    }
}

impl Vital {
    /// Something has come to an end, well or badly.
    pub(crate) fn touch(&self) {
        self.signs().touched = Instant::now();
    }

    /// How long nothing has.
    pub(crate) fn silent_for(&self) -> Duration {
        self.signs().touched.elapsed()
    }

    pub(crate) fn expect_calls(&self, per_hour: f64) {
        self.signs().calls_per_hour = per_hour;
    }

    pub(crate) fn calls_per_hour(&self) -> f64 {
        self.signs().calls_per_hour
    }

    fn signs(&self) -> std::sync::MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
