//! Follows a DynamoDB stream: which shards are read, by whom, and how far they were read.
//!
//! In the order in which a record meets them: [`graph`] says which shards of the stream may be read, `shard` reads
//! one, paced by [`pace`], and hands its pages to [`delivery`]; [`follow`] holds it all together, under the [`lease`] of
//! the table. What must outlive the process is in [`state`]; what is lost is a [`gap`]; [`status`] is what is known of it
//! all, and [`observe`] shows it to people.

pub mod beside;
pub mod clock;
pub mod closing;
mod contact;
pub mod delivery;
pub mod follow;
pub mod gap;
pub mod graph;
mod index_watch;
pub mod lease;
pub mod observe;
pub mod pace;
mod retention;
pub mod retire;
mod shard;
pub mod state;
pub mod status;
mod turn;

pub use contact::SearchContact;
pub use gap::{Gap, GapKind};
pub use turn::DescribeTurn;
