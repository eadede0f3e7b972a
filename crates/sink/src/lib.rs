//! Writes document operations to OpenSearch: bulk requests, retries, index set-up.

pub mod auth;
pub mod client;

pub use client::{Answer, BodyEncoding, Client, ClientError};
