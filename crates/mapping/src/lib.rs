//! A DynamoDB change in, OpenSearch document operations out: pure, no I/O.
//!
//! The way of a record: [`event`] reads it into a [`Change`], the
//! [`Mapper`] turns the change into [`Operation`]s or asks for the item ([`Fetch`]), and a [`Batch`]
//! coalesces the operations of one shard's page and adds up one [`Outcome`] per record.
//!
//! There is no clock, no network and no randomness here: times are arguments.

pub mod batch;
pub mod change;
mod compare;
mod date;
mod decimal;
pub mod document;
pub mod event;
pub mod expiry;
mod explain;
pub mod fetch;
mod field;
pub mod id;
pub mod image;
mod json;
pub mod key_of_id;
mod mapped;
pub mod mapper;
pub mod matching;
mod names;
pub mod operation;
pub mod order;
pub mod outcome;
pub mod path;
mod placing;
pub mod refusal;
pub mod route;
mod routes;
mod shape;
mod text;
pub mod version;

pub use batch::{Batch, FetchHandle, OperationHandle, RecordMeta};
pub use change::{Change, EventName, ReadRecord, RecordError, RecordProblem, StreamView};
pub use compare::{canonical_json, same_json};
pub use document::EXPIRED_AT;
pub use explain::{ConditionVerdict, RouteVerdict};
pub use fetch::{Fetch, FetchVersion, Key, KeyValue};
pub use image::{AttributeProblem, Image};
pub use key_of_id::{KeyAttribute, KeyType, key_of_texts};
pub use mapped::Mapped;
pub use mapper::{Mapper, Trust};
pub use matching::is_like;
pub use operation::{Action, Address, DocumentId, IndexName, IndexNameError, LONGEST_ID, Operation, Origin, Role};
pub use order::{ItemOrder, Raised};
pub use outcome::{Outcome, Tally};
pub use path::{Path, PathError};
pub use refusal::{MapError, Refusal, Remains};
pub use route::{
    Condition, Constant, Dots, FieldValue, IdForm, IndexPattern, NumberForm, OnExpiry, PatternPart, Route, Test, Ttl,
};
pub use version::{CreationTime, ExternalVersion, READ_MARGIN_SECONDS, SequenceNumber};
