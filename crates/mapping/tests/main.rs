//! The reader of DynamoDB JSON against a reference that is made of `serde_json` alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "code of tests: stopping on a broken assumption is what it is for"
)]

mod oracle;
mod reference;
