//! Compares documents with their current items.

use std::collections::HashSet;

use streamdex_delivery::Term;
use streamdex_mapping::{Address, IndexName, Key};
use streamdex_sink::read::StoredDocument;

use crate::expected::Expected;
use crate::fault::Fault;
use crate::letters::{KeyHash, Named};
use crate::mirror::Mirror;
use crate::pace::{Pace, each};
use crate::suspect::{Seen, Suspect};
use crate::verdict::{Facts, Judged, judge};

/// So many documents are looked at with one call of each service.
pub(crate) const AT_ONCE: usize = 100;

/// What is known of the whole table, for each look.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// What dead letters name.
    pub(crate) letters: Named,
    /// Indices that were made with other routes.
    pub(crate) other_routes: HashSet<IndexName>,
}

/// A document as it was seen.
pub(crate) struct Sight {
    pub(crate) suspect: Suspect,
    pub(crate) seen: Seen,
    pub(crate) judged: Judged,
    /// The server's time of the read, in seconds since 1970.
    pub(crate) at: u64,
}

/// Looks at documents of one table.
#[derive(Clone, Copy)]
pub(crate) struct Look<'l> {
    pub(crate) mirror: &'l Mirror,
    pub(crate) knowledge: &'l Knowledge,
    pub(crate) term: Term<'l>,
    /// How fast items are read, one unit each; `None`: as fast as the table answers.
    pub(crate) pace: Option<&'l Pace>,
}

/// An item that was read for a suspect.
struct Read {
    suspect: Suspect,
    expected: Expected,
    key: KeyHash,
    at: u64,
}

// === impl Look ===

impl Look<'_> {
    /// Looks at documents whose items' keys are known; others are left out. The item is read first, so that a document
    /// that is written meanwhile is newer, and never older.
    pub(crate) async fn at(self, suspects: Vec<Suspect>) -> Result<Vec<Sight>, Fault> {
        let (suspects, keys): (Vec<Suspect>, Vec<Key>) =
            suspects.into_iter().filter_map(|suspect| suspect.key.clone().map(|key| (suspect, key))).unzip();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(pace) = self.pace {
            pace.spend(each(keys.len())).await;
        }
        let attempts = self.mirror.attempts();
        let reads = attempts.make(self.term, "read items", || self.mirror.items.read(&keys)).await?;
        let names = self.mirror.key_names();
        let mut all = Vec::with_capacity(suspects.len());
        for ((suspect, key), read) in suspects.into_iter().zip(&keys).zip(&reads) {
            let expected = Expected::of_found(&self.mirror.mapper, &names, &read.found);
            // Where the address is not given, the document is looked at where the item belongs.
            let address = suspect.address.or_else(|| expected.address().cloned());
            let suspect = Suspect { address, ..suspect };
            all.push(Read { suspect, expected, key: KeyHash::of(key), at: read.at });
        }
        let addresses: Vec<Address> = all.iter().filter_map(|read| read.suspect.address.clone()).collect();
        let mut documents = self.documents(&addresses).await?.into_iter();
        Ok(all.into_iter().map(|read| self.sight(read, &mut documents)).collect())
    }

    /// The documents at some addresses.
    pub(crate) async fn documents(self, addresses: &[Address]) -> Result<Vec<Option<StoredDocument>>, Fault> {
        let attempts = self.mirror.attempts();
        Ok(attempts.make(self.term, "read documents", || self.mirror.index.get(addresses)).await?)
    }

    /// Compares one document, by what is known of the whole table.
    fn sight(self, read: Read, documents: &mut impl Iterator<Item = Option<StoredDocument>>) -> Sight {
        let Read { suspect, expected, key, at } = read;
        let address = suspect.address.as_ref();
        let stored = if address.is_some() { documents.next().flatten() } else { None };
        let has_other_routes = address.is_some_and(|address| self.knowledge.other_routes.contains(&address.index));
        let facts = Facts { now: at, has_letter: self.knowledge.letters.keys.contains(&key), has_other_routes };
        let judged = judge(address, &expected, stored.as_ref(), facts);
        Sight { seen: Seen::of(&expected, stored.as_ref()), suspect, judged, at }
    }
}
