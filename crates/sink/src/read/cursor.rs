//! The position of a walk over the documents of an index.

use serde_json::Value;

/// Part of an index: at most one for each of its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Which one, from 0.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

/// A walk on its way.
#[derive(Debug, Clone)]
pub struct Walk {
    pub(super) means: Means,
    pub(super) slice: Slice,
    /// How many documents the slice has.
    pub(super) total: u64,
    /// How many of them have come.
    pub(super) walked: u64,
}

/// How the documents are listed, and where it goes on.
#[derive(Debug, Clone)]
pub(super) enum Means {
    PointInTime { id: String, after: Option<Value> },
    Scroll { id: String },
}
