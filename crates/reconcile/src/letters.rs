//! Dead letters: which items they name.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use streamdex_delivery::Term;
use streamdex_mapping::Key;

use crate::fault::Fault;
use crate::mirror::Mirror;

/// The hash of an item's key: 64 bits of SHA-256, for sets of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(key: &Key) -> KeyHash {
        KeyHash::of_text(key.canonical())
    }

    pub(crate) fn of_text(canonical: &str) -> KeyHash {
        let mut hash = [0; 8];
        hash.iter_mut().zip(Sha256::digest(canonical)).for_each(|(to, from)| *to = from);
        KeyHash(u64::from_le_bytes(hash))
    }
}

/// The items of the table that dead letters name.
pub(crate) async fn named_by_letters(mirror: &Mirror, term: Term<'_>) -> Result<HashSet<KeyHash>, Fault> {
    let (mut named, mut after) = (HashSet::new(), None);
    loop {
        let list = || mirror.letters.list(after.as_ref());
        let page = mirror.attempts().make(term, "list dead letters", list).await?;
        let of_table = page.letters.iter().filter(|letter| letter.table == mirror.table);
        named.extend(of_table.filter_map(|letter| letter.keys.as_deref()).map(KeyHash::of_text));
        after = page.next;
        if after.is_none() {
            return Ok(named);
        }
    }
}
