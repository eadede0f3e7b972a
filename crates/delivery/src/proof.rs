//! Checks whether the routes' `id` and `routing` fit the key of the table. One record that fits proves it.

use std::sync::atomic::{AtomicBool, Ordering};

/// What the records of one table have shown so far, in this process.
#[derive(Debug, Default)]
pub struct KeyProof(AtomicBool);

impl KeyProof {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
