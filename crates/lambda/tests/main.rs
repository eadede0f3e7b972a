//! The handler, in this process, against a search server that fails on demand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "code of tests: stopping on a broken assumption is what it is for"
)]

mod again;
mod freeze;
mod function;
mod letters;
mod outcomes;
mod time;
