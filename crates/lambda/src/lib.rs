//! The AWS Lambda function: the records of an event source mapping into OpenSearch.
//!
//! The way of an invocation: [`event`] tells what the event is and maps its records, as far as [`intake`] says;
//! [`decided`] knows those that come again, [`deadline`] says how much time there is, [`handler`] delivers the records with what the [`sandbox`] holds, [`answer`] says from
//! which record on they are wanted again, and [`metrics`] counts. [`settings`] is where the configuration
//! comes from, [`logging`] where lines go, and [`error`] why an invocation fails. [`deployment`] is another function of the same
//! program, which sets up roles and indices.
//!
//! Architecture invariant: when an invocation is answered, nothing of it runs any more; a sandbox that is
//! thawed later must not finish an old request.

pub mod answer;
pub mod body;
pub mod deadline;
pub mod decided;
mod delivery;
pub mod deployment;
pub mod error;
pub mod event;
pub mod handler;
pub mod intake;
mod lazy;
pub mod logging;
mod memory;
pub mod metrics;
pub mod sandbox;
pub mod settings;
mod why;
