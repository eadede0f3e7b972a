//! Writes document operations to OpenSearch: bulk requests, retries, index set-up.

pub mod auth;
pub mod classify;
pub mod client;
mod client_error;
pub mod encode;
pub mod index;
pub mod pause;
pub mod retry;
pub mod scrub;
pub mod writer;

pub use classify::PauseReason;
pub use client::{Answer, BodyEncoding, Client, ClientError};
pub use encode::encode_operation;
pub use index::{Indices, SetupContext, SetupError, Target, VanishedIndex};
pub use pause::{Pause, Scope};
pub use writer::{
    BulkTransport, BulkWriter, Decision, Fault, Patience, Permit, Refusal, Targets, WriterSettings, WriterStats,
};
