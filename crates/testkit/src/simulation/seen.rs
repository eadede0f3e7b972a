//! The observed lease, shards and lag so far. [`super::liveness`] fills and judges them.

use std::collections::{BTreeMap, BTreeSet};

/// The bounds are checked so often, in milliseconds.
pub(super) const CHECK_EVERY: u64 = 400;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    pub(super) lease: OwnerWatch,
    pub(super) shards: ShardWatch,
    pub(super) lag: LagWatch,
    /// When the group began.
    pub(super) pinned: Option<u64>,
    /// Since when records wait to be written by the worker that has the lease.
    pub(super) waiting: Option<u64>,
}

/// Who has the lease, as the state table says.
#[derive(Debug, Default)]
pub(super) struct OwnerWatch {
    pub(super) owner: Option<String>,
    pub(super) taken: u64,
    /// Terms in a row without progress before this one.
    pub(super) fruitless: u32,
    /// Who had it last, where it was given back: that one lets others go first.
    pub(super) given_back_by: Option<String>,
    /// When the lease was given back.
    pub(super) released: Option<u64>,
    /// Since when nobody beats.
    pub(super) silent: Option<u64>,
    /// Since when its owner does not reach a service that it needs.
    pub(super) stuck: Option<u64>,
    /// From when on a standby was there that could have taken it.
    pub(super) ready: Option<u64>,
    /// It was said that this lasts too long.
    pub(super) said: bool,
}

/// When each shard was read, and read to its end.
#[derive(Debug, Default)]
pub(super) struct ShardWatch {
    pub(super) polled: BTreeMap<String, (String, u64)>,
    pub(super) drained: BTreeMap<String, u64>,
    /// Since when everything that a closed shard holds has its outcome.
    pub(super) read_out: BTreeMap<String, u64>,
    /// Those of which it was said that they wait for too long.
    pub(super) said: BTreeSet<String>,
}

/// What was said of the lag.
#[derive(Debug, Default)]
pub(super) struct LagWatch {
    /// The shards of which it was said that more is shown than is true.
    pub(super) said: BTreeSet<String>,
    /// Those that were listed so late that their siblings were read before.
    pub(super) late: BTreeSet<String>,
}
