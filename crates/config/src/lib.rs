//! One TOML file to validated configuration types and a JSON Schema.
//!
//! The way of a file: `tree` parses it into values that know their place, `raw` (declared once, for the
//! parser and the schema) reads the tables, `check` turns them into the types of [`model`] and reports every
//! problem there is. [`show`] writes a configuration out again; [`fingerprint`] tells whether two make the same
//! documents; [`needs_old_images`] and [`key_mismatches`] tell what a route asks of the stream and the table;
//! [`is_loopback`] tells whether an address is this machine's, [`is_region`] whether a name reads as an AWS region's.

mod arn;
mod check;
mod environment;
mod fingerprint;
mod images;
mod keys;
mod load;
pub mod model;
mod problem;
mod raw;
mod read;
mod show;
mod text;
mod tree;
mod units;

pub use arn::{Arn, StreamArn, TableArn};
pub use check::{is_loopback, is_region};
pub use fingerprint::fingerprint;
pub use images::{OldImageNeed, needs_old_images};
pub use keys::{KeyMismatch, key_mismatches};
pub use load::Loaded;
pub use model::*;
pub use problem::{ConfigError, Problem};
#[cfg(feature = "schema")]
pub use raw::json_schema;
pub use show::show;
