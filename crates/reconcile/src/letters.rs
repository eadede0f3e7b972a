//! Replays dead letters: reads their items, writes their documents, and removes the resolved letters.
//!
//! A letter is removed once its document was seen to equal its item, not when something was sent.

mod check;
mod fate;
mod named;
mod replay;
mod select;

pub(crate) use self::check::{Check, Open};
pub use self::fate::Fate;
pub(crate) use self::named::{KeyHash, Named, named_by_letters};
pub use self::replay::{Replay, ReplayReport};
pub use self::select::Selection;
