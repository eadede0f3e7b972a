//! Real engines, fault injection and generators for the tests of streamdex.
//!
//! Nothing here is published, and nothing that is published depends on it. Engines are fetched once into
//! `target/engines` and run as children that cannot outlive the process that started them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "code of tests: stopping on a broken assumption is what it is for"
)]

#[cfg(feature = "clients")]
pub mod bulk_counter;
#[cfg(feature = "clients")]
mod certificate;
#[cfg(feature = "clients")]
pub mod compare;
#[cfg(feature = "clients")]
pub mod emulators;
pub mod engines;
#[cfg(feature = "clients")]
pub mod event_source;
#[cfg(feature = "clients")]
pub mod fault;
#[cfg(feature = "clients")]
mod http;
#[cfg(feature = "clients")]
pub mod lambda;
pub mod process;
pub mod report;
#[cfg(feature = "clients")]
pub mod served;
#[cfg(feature = "clients")]
mod server_thread;
#[cfg(feature = "simulation")]
pub mod simulation;
#[cfg(feature = "clients")]
pub mod streams;
#[cfg(feature = "clients")]
pub mod workload;
