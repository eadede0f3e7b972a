//! One round trip through every engine, and through every way of breaking one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "tests: stopping on a broken assumption is what they are for"
)]

mod compare;
mod engines;
mod fault;
