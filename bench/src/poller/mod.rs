//! `streamdex run` on a stream out of memory, most of it into a real node.

pub(crate) mod backlog;
pub(crate) mod bookkeeping;
pub(crate) mod capacity;
pub(crate) mod changes;
pub(crate) mod first_record;
pub(crate) mod freshness;
pub(crate) mod idle;
pub(crate) mod many_shards;
mod putter;
pub(crate) mod reading;
pub(crate) mod roll_over;
mod spans;
pub(crate) mod waiting;
