//! The usual way from an event to a bulk body, which the measurements and the function written the usual way share.

pub mod typed;
