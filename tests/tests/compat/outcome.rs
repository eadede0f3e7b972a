//! What came of a check.

use std::fmt::Debug;

/// `Err` says what the engine did instead, in a few words.
pub(crate) type Outcome = Result<(), String>;

/// Two values must be equal; the message says which are not.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Outcome {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?} instead of {wanted:?}")) }
}

pub(crate) fn holds(what: &str, condition: bool) -> Outcome {
    if condition { Ok(()) } else { Err(format!("not so: {what}")) }
}
