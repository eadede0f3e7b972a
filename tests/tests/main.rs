//! End-to-end tests on real engines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "code of tests: stopping on a broken assumption is what it is for"
)]

mod compat;
mod e2e;
mod lab;
mod lambda;
mod policy;
mod secured;
