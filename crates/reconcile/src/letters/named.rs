//! The items and documents that the letters of a table name.

use std::collections::HashSet;

use streamdex_delivery::Term;
use streamdex_delivery::letter::{DeadLetter, LetterRole};
use streamdex_mapping::Key;

use crate::digest::digest;
use crate::fault::Fault;
use crate::mirror::Mirror;

/// The hash of an item's key, for sets of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(u128);

/// What the letters of a table name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// How many there are.
    pub(crate) count: u64,
    /// The items.
    pub(crate) keys: HashSet<KeyHash>,
    /// Letters that name no item, as many as are worth keeping: when the whole index is equal, they are settled.
    pub(crate) nameless: Vec<DeadLetter>,
}

const MOST_NAMELESS: usize = 10_000;

impl KeyHash {
    pub(crate) fn of(key: &Key) -> KeyHash {
        KeyHash::of_text(key.canonical())
    }

    pub(crate) fn of_text(canonical: &str) -> KeyHash {
        KeyHash(digest(&[canonical.as_bytes()]))
    }
}

/// What the letters of the table name.
pub(crate) async fn named_by_letters(mirror: &Mirror, term: Term<'_>) -> Result<Named, Fault> {
    let (mut named, mut after) = (Named::default(), None);
    loop {
        let (letters, next) = mirror.letters_after(after.as_ref(), term).await?;
        for letter in letters {
            named.count += 1;
            match &letter.keys {
                Some(keys) => drop(named.keys.insert(KeyHash::of_text(keys))),
                None if letter.role == LetterRole::Live && named.nameless.len() < MOST_NAMELESS => {
                    named.nameless.push(letter);
                }
                None => {}
            }
        }
        after = next;
        if after.is_none() {
            return Ok(named);
        }
    }
}
