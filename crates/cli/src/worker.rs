//! The name of this process among the workers of its group.

use std::hash::{BuildHasher, RandomState};

use streamdex_poller::lease::WorkerId;

/// Another one in each process.
pub(crate) fn worker() -> WorkerId {
    let named = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    let host = std::env::var("HOSTNAME").ok().filter(|host| !host.is_empty()).or_else(named);
    // Replicas must not take each other for one host, which lets others go first where it did not get on.
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| format!("streamdex{:04x}", random() & 0xffff));
    WorkerId::of_process(&host, random())
}

/// A new number in each process; the standard library seeds its hashers from the system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
