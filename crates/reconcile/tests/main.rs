//! Verification, repair and dead letters over a table and an index in memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod backfill;
mod letters;
mod rebuild;
mod verify;
mod world;
