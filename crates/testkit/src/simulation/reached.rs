//! Which kinds of weather a seed has met, so that it can be counted how often each of them comes.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::lock::lock;

/// The kinds that were met so far, by name.
#[derive(Debug, Default)]
pub(super) struct Reached(Mutex<BTreeSet<&'static str>>);

impl Reached {
    pub(super) fn note(&self, kind: &'static str) {
        lock(&self.0).insert(kind);
    }

    pub(super) fn all(&self) -> Vec<&'static str> {
        lock(&self.0).iter().copied().collect()
    }
}
