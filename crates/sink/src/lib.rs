//! Writes document operations to OpenSearch: bulk requests, retries, index set-up.

pub mod access;
pub mod auth;
pub mod classify;
pub mod client;
mod client_error;
mod connection;
pub mod encode;
pub mod index;
pub mod pause;
pub mod read;
pub mod retry;
mod retry_after;
mod scheme;
pub mod scrub;
mod secret;
mod signing;
mod tls;
pub mod writer;

pub use classify::PauseReason;
pub use client::{Answer, BodyEncoding, Client, ClientError};
pub use encode::encode_operation;
pub use index::{Indices, SetupContext, SetupError, Target, VanishedIndex};
pub use pause::{Pause, Scope};
pub use writer::{
    Braked, BulkTransport, BulkWriter, Decision, Fault, Learned, Patience, Permit, Refusal, ShortStreak, Targets,
    WriterSettings, WriterStats,
};
