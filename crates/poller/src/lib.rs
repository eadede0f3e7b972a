//! Follows a DynamoDB stream: shards, checkpoints, item reads, delivery.
//!
//! In the order in which a record meets them: [`aws`] makes the clients, [`table`] describes what is
//! followed, [`graph`] says which shards of the [`stream`] may be read, `shard` reads one, paced by
//! [`pace`], [`convert`] turns SDK records into changes, and [`follow`] holds it all together. What must
//! outlive the process is in [`state`] and [`letter`]; what is lost is a [`gap`].

pub mod aws;
pub mod capture;
pub mod clock;
pub mod convert;
pub mod deliver;
pub mod fault;
pub mod follow;
pub mod gap;
pub mod graph;
mod horizon;
pub mod item;
pub mod lease;
pub mod letter;
pub mod observe;
pub mod pace;
pub mod page;
mod server_date;
mod shard;
pub mod state;
pub mod stream;
pub mod table;

pub use fault::{AwsError, Fault};
pub use gap::{Gap, GapKind};
