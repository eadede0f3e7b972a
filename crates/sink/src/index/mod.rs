//! Index set-up: logical names, what their indices must be, and the watch over what they are.
//!
//! The way of an index: [`catalog`] tells which part of the configuration a logical name belongs to,
//! [`plan`] and [`merge`] give the wanted state, [`observe`] reads what is there, [`steps`] decides what
//! is missing, [`inspect`] and [`owner`] what is unsafe or not ours: all of it pure. `apply` sends the
//! requests, and [`Indices`] holds the result.
//!
//! Indices are never left to be created by a write. OpenSearch's own dynamic mapping refuses whole
//! documents over one number, and a delete with an external version creates a missing index, so each
//! index that was set up is known by its UUID, and [`Indices::watch`] tells when it is another one.

mod admin;
mod apply;
pub mod catalog;
pub mod error;
pub mod flavour;
mod indices;
pub mod inspect;
pub mod merge;
mod names;
pub mod observe;
pub mod owner;
pub mod plan;
mod probe;
pub mod report;
mod simulate;
pub mod steps;

#[cfg(test)]
mod samples;

pub use catalog::{SetupContext, TableFacts};
pub use error::{SetupError, SetupErrorKind, VanishedIndex};
pub use flavour::Flavour;
pub use indices::{Indices, KnownIndex, Target};
pub use inspect::{Code, Finding};
pub use names::{IndexNames, concrete_name, index_names, watches_indices};
pub use report::{Applied, IndexApplied, IndexPlan, Plan};
