//! A page of records to its outcomes. What the Lambda function, the poller and the commands share.
//!
//! [`capture`] reads captured texts into [`page`]s; [`delivery`] reads the items that a page asks for, writes its
//! operations and stores its dead letters ([`letter`]); [`indices`] is what it asks of the indices it writes to.

pub mod capture;
pub mod delivery;
pub mod fault;
pub mod indices;
pub mod letter;
pub mod page;
mod progress;

pub use delivery::{Bounds, Delivery, PageOutcome};
pub use fault::DeliveryFault;
pub use progress::DeliveryProgress;
