//! DynamoDB as streamdex uses it.
//!
//! [`clients`] are made from the configuration; [`table`] describes what is followed; [`stream`] has its shards and
//! pages of [`records`]; [`survey`] is for whoever sets streamdex up; [`item`] reads items as they are now; [`state`] is the one
//! table that outlives a process. [`call`] is one call: where it went and whether its answer
//! is whole; [`fault`] says what a failed one means.

pub mod call;
pub mod clients;
mod description;
pub mod fault;
pub mod item;
mod place;
pub mod records;
pub mod scan;
pub mod size;
pub mod state;
pub mod stream;
pub mod survey;
pub mod table;
pub mod time;
pub mod trial;

pub use call::Call;
pub use fault::{AwsError, Fault};
pub use place::Place;
