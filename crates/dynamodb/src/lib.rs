//! DynamoDB as streamdex uses it.
//!
//! [`clients`] are made from the configuration; [`table`] describes what is followed; [`stream`] has its shards and
//! pages of records, which [`convert`] turns into changes; [`item`] reads items as they are now; [`state`] is the one
//! table that outlives a process. [`fault`] says what a failed call means, [`time`] what the service's clock says.

pub mod clients;
pub mod convert;
pub mod fault;
pub mod item;
pub mod state;
pub mod stream;
pub mod table;
pub mod time;

pub use fault::{AwsError, Fault};
