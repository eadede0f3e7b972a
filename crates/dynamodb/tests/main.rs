//! Tables, streams and items on real engines: DynamoDB Local and dynoxide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "code of tests: stopping on a broken assumption is what it is for"
)]

mod answers;
mod items;
mod servers;
mod state;
mod stream;
