//! Seeded work: session items, Lambda events made of them, and a writer that changes a table at random.

mod event;
mod json;
mod sessions;
mod table;
mod writer;

pub use event::{EVENT_TIME, SESSIONS_STREAM_ARN, StreamRecord, lambda_event, lambda_event_of, modifications};
pub use json::dynamodb_json;
pub use sessions::{Item, PARTITION_KEY, SORT_KEY, Sessions, TTL};
pub use table::{SessionsTable, create_sessions_table};
pub use writer::{RandomWriter, Written};
