//! Follows a DynamoDB stream: which shards are read, by whom, and how far they were read.
//!
//! In the order in which a record meets them: [`graph`] says which shards of the stream may be read, `shard` reads
//! one, paced by [`pace`], and hands its pages to delivery; [`follow`] holds it all together, by [`lease`]s. What must
//! outlive the process is in [`state`]; what is lost is a [`gap`]; [`observe`] shows it to people.

pub mod clock;
pub mod follow;
pub mod gap;
pub mod graph;
mod horizon;
pub mod lease;
pub mod observe;
pub mod pace;
mod shard;
pub mod state;
mod turn;

pub use gap::{Gap, GapKind};
