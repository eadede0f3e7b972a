//! The sink over real connections. What needs no network is tested beside the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: stopping on a broken assumption is what they are for"
)]

mod engines;
mod faults;
mod generations;
mod plan;
mod proof;
mod sigv4;
mod support;
mod tls;
