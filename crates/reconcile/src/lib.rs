//! Checks whether the index equals the table, and repairs it.
//!
//! Every job is a sequence of bounded pieces of work: a piece of a [`segment`] of the table, a slice of an index, a page of
//! dead letters. Everything that is written was read from the table first, and is written under the version of that
//! read (DESIGN: the law of reads, docs/adr/0003); [`verify`] alone decides whether a document is right.

pub mod backfill;
mod digest;
mod expected;
pub mod explain;
mod fault;
mod ids;
pub mod letters;
mod look;
mod mirror;
pub mod pace;
pub mod rebuild;
mod repair;
pub mod segment;
pub mod settle;
mod suspect;
pub mod verdict;
pub mod verify;

pub use fault::Fault;
pub use mirror::Mirror;
pub use repair::Repair;
