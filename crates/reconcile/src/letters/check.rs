//! Checks whether the document of a letter is right.

use std::collections::BTreeSet;

use streamdex_delivery::Term;
use streamdex_delivery::letter::DeadLetter;
use streamdex_mapping::Address;
use streamdex_sink::read::HeldIndex;

use super::fate::{Reread, Wanted, wanted};
use crate::fault::Fault;
use crate::look::{Knowledge, Look};
use crate::mirror::Mirror;
use crate::suspect::Suspect;

/// A letter, and the read that it asks for.
pub(crate) struct Open {
    pub(crate) letter: DeadLetter,
    pub(crate) reread: Reread,
}

/// Looks at the documents of letters.
#[derive(Clone, Copy)]
pub(crate) struct Check<'c> {
    pub(crate) mirror: &'c Mirror,
    /// The indices of the table that are there.
    pub(crate) held: &'c [HeldIndex],
    pub(crate) term: Term<'c>,
}

// === impl Open ===

impl Open {
    /// A letter about an item; `None` where it is about the copy of an expired one, or does not tell.
    pub(crate) fn of(letter: DeadLetter) -> Option<Open> {
        match wanted(&letter) {
            Wanted::Read(reread) => Some(Open { letter, reread }),
            Wanted::Copy(..) | Wanted::Nothing(_) => None,
        }
    }
}

// === impl Check ===

impl Check<'_> {
    /// Those of the letters, by place, whose documents are not what their items give: where the item belongs now, or
    /// where the letter says.
    pub(crate) async fn wrong(self, letters: &[Open]) -> Result<BTreeSet<usize>, Fault> {
        let knowledge = Knowledge::default();
        let look = Look { mirror: self.mirror, knowledge: &knowledge, term: self.term, pace: None };
        let suspect =
            |open: &Open, address| Suspect { key: Some(open.reread.key.clone()), address, seen: None, repairs: 0 };
        let here = letters.iter().enumerate().map(|(place, open)| (place, suspect(open, None)));
        let there = letters.iter().enumerate().filter_map(|(place, open)| {
            let address = self.own_address(open)?.clone();
            Some((place, suspect(open, Some(address))))
        });
        let (places, suspects): (Vec<usize>, Vec<Suspect>) = here.chain(there).unzip();
        let sights = look.at(suspects).await?;
        let wrong = places.into_iter().zip(sights).filter(|(_, sight)| !sight.judged.is_fine());
        Ok(wrong.map(|(place, _)| place).collect())
    }

    /// The address in the letter, where the index is there and this table's (rule B4, docs/registers/guarantees.md).
    pub(crate) fn own_address<'o>(&self, open: &'o Open) -> Option<&'o Address> {
        let generation = open.letter.address.as_ref()?.generation;
        let address = open.reread.address.as_ref()?;
        let is_its_index = |held: &&HeldIndex| {
            let is_generation = generation.is_none_or(|generation| held.generation == generation);
            held.index == address.index && is_generation && !held.is_archive
        };
        self.held.iter().find(is_its_index).map(|_| address)
    }

    /// Removes a letter, if it is unchanged since it was read; whether it was removed.
    pub(crate) async fn remove(&self, letter: &DeadLetter) -> Result<bool, Fault> {
        let remove = || self.mirror.letters.remove(letter);
        Ok(self.mirror.attempts().make(self.term, "remove a dead letter", remove).await?)
    }
}
