//! Dead letters: read their items, write what is there, and remove what is right then.
//!
//! A letter goes when its document was seen to be what the item gives, and not when something was sent.

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
