//! A page of records to its outcomes. What the Lambda function, the poller and the commands share.
//!
//! [`capture`] reads captured texts into [`page`]s; [`delivery`] reads the items that a page asks for, writes its
//! operations and stores its dead letters ([`letter`]); [`indices`] is what it asks of the indices it writes to.

mod attempt;
pub mod backfill;
mod bounds;
mod brakes;
pub mod capture;
pub mod delivery;
pub mod fault;
pub mod indices;
pub mod letter;
mod memory;
pub mod page;
mod progress;
mod proof;
pub mod rebuild;
pub mod screen;
pub mod view;

pub use attempt::{Attempts, Term};
pub use bounds::Bounds;
pub use brakes::BrakeRecords;
pub use delivery::{Delivery, PageOutcome};
pub use fault::DeliveryFault;
pub use memory::ReadMemory;
pub use progress::DeliveryProgress;
pub use proof::KeyProof;
