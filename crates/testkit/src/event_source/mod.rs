//! A model of Lambda's event source mapping: which batches a function gets, by what it answered before.
//!
//! ```text
//! add ──▶ EventSource ── next_batch ──▶ function ── Reply ──▶ EventSource ──▶ acknowledged | on failure
//! ```
//! Pure and seeded: no clock, no network, and the same seed and replies give the same batches. It drives the real
//! program as well as a closure; [`EmulatedStream`] adds the records of a real emulator. From AWS's documentation:
//! - a shard's records are cut into lanes by item (the parallelization factor); a lane has one batch at a time, in
//!   order, and a child shard begins when its parent is done;
//! - the lowest number in `batchItemFailures` is the checkpoint: everything from it on comes again. An identifier that
//!   is empty, null or not of the batch fails the whole batch; no identifier means that all is done;
//! - a batch whose function failed is halved (where that is switched on), which does not count as an attempt;
//! - a batch that has used up its attempts goes to the on-failure destination, and the lane goes on behind it;
//! - delivery is at least once: an answer can get lost, and the same batch comes again.

mod drain;
mod lane;
mod record;
mod reply;
mod source;
mod stream;

pub use drain::drain;
pub use record::{OnFailure, Record};
pub use reply::Reply;
pub use source::{Batch, EventSource, Settings};
pub use stream::EmulatedStream;

#[cfg(test)]
mod tests;
