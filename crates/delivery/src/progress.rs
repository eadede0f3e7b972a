//! How deliveries have gone so far.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::proof::KeyProof;

/// The progress of deliveries: whether anything has succeeded, and what fails now.
#[derive(Debug)]
pub struct DeliveryProgress {
    /// Whether anything has succeeded yet: one-shot commands give up sooner at the start.
    made: AtomicBool,
    /// How many calls failed and are tried again.
    failing: AtomicUsize,
    /// Whether the configuration fits the table's key.
    pub keys: KeyProof,
}

/// A call that failed and is tried again, as long as this lives.
pub(crate) struct Failing<'a>(&'a DeliveryProgress);

// === impl DeliveryProgress ===

impl DeliveryProgress {
    /// Nothing has been tried yet.
    pub fn at_start() -> DeliveryProgress {
        DeliveryProgress { made: false.into(), failing: 0.into(), keys: KeyProof::default() }
    }

    /// Something has succeeded elsewhere, so that it is worth waiting for more.
    pub fn under_way() -> DeliveryProgress {
        DeliveryProgress { made: true.into(), failing: 0.into(), keys: KeyProof::default() }
    }

    /// Whether something fails now and is tried again.
    pub fn is_stuck(&self) -> bool {
        self.failing.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn note_success(&self) {
        self.made.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_made(&self) -> bool {
        self.made.load(Ordering::Relaxed)
    }

    pub(crate) fn failing(&self) -> Failing<'_> {
        self.failing.fetch_add(1, Ordering::Relaxed);
        Failing(self)
    }
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.0.failing.fetch_sub(1, Ordering::Relaxed);
    }
}
