//! `streamdex run` on a stream out of memory, into a real node.

pub(crate) mod backlog;
pub(crate) mod freshness;
pub(crate) mod handover;
mod putter;
