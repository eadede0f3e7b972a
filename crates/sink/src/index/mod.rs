//! Index set-up: logical names, what their indices must be, and the watch over what they are.
//!
//! The way of an index: [`catalog`] finds the part of the configuration that a logical name belongs to,
//! [`wanted`] and [`merge`] give the wanted state, [`observe`] reads the state in OpenSearch, [`steps`] decides
//! what is missing, [`inspect`] and [`owner`] find what is unsafe or another table's: all of it pure. `set_up`
//! sends the requests, [`Indices`] holds the result, and `apply` is for the commands.
//!
//! Indices are never left to be created by a write. OpenSearch's own dynamic mapping refuses whole
//! documents over one number, and a delete with an external version creates a missing index, so each
//! index that was set up is known by its UUID, and [`Indices::watch`] finds when it is another one.

mod admin;
mod apply;
pub mod catalog;
mod documents;
pub mod error;
pub mod finding;
pub mod flavour;
pub mod generations;
mod held;
mod indices;
pub mod inspect;
mod known;
mod live;
pub mod merge;
mod names;
pub mod observe;
pub mod owner;
mod probe;
mod readers;
mod reply;
pub mod report;
mod scratch;
mod set_up;
mod simulate;
pub mod steps;
mod template;
pub mod trial;
pub mod wanted;
mod watch;

#[cfg(test)]
mod samples;

pub(crate) use admin::{ask, escape};
pub use catalog::{SetupContext, TableFacts};
pub use documents::Documents;
pub use error::{OwnerUnknown, SetupError, SetupErrorKind, VanishedIndex};
pub use finding::{Code, Finding};
pub use flavour::Flavour;
pub use held::HeldIndex;
pub use indices::{GroupState, Indices};
pub use known::{KnownIndex, Target};
pub use names::{ConcreteNames, IndexNames, index_names};
pub use readers::ReaderAliases;
pub(crate) use reply::Reply;
pub use reply::refusal;
pub use report::{Applied, IndexApplied, IndexPlan, Plan};
pub use scratch::{IgnoredValues, SCRATCH};
