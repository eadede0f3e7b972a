//! A DynamoDB change in, OpenSearch document operations out: pure, no I/O.
//!
//! The way of a record: [`event`] (or [`image`], for SDK items) reads it into a [`Change`], the
//! [`Mapper`] turns the change into [`Operation`]s or asks for the item ([`Fetch`]), and a [`Batch`]
//! coalesces the operations of one shard's page and adds up one [`Outcome`] per record.
//!
//! There is no clock, no network and no randomness here: times are arguments.

pub mod change;
mod date;
pub mod event;
pub mod image;
pub mod operation;
pub mod outcome;
pub mod route;
pub mod text;
pub mod version;

pub use change::{Change, EventName, RecordError, RecordProblem};
pub use image::{AttributeProblem, Image, ImageBuilder};
pub use operation::{Action, Address, DocumentId, IndexName, Operation, Origin, Role};
pub use outcome::{Outcome, Tally};
pub use route::{Condition, IdForm, IndexPattern, NumberForm, OnExpiry, Route, Test, Ttl};
pub use version::{CreationTime, ExternalVersion, SequenceNumber};
