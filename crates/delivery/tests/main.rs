//! Dead letters, brakes and index records on real engines: DynamoDB Local and dynoxide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "code of tests: stopping on a broken assumption is what it is for"
)]

mod brakes;
mod deletes;
mod letters;
mod placeholders;
mod reads;
