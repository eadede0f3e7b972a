//! The members of one JSON object that have the same name: the last one stays (RULES: J2 of the tests).

use std::collections::HashSet;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::text::Text;

/// Up to so many members, comparing each with each is the fastest.
const FEW: usize = 8;

/// So many members are told apart by the bits of a filter.
const SEVERAL: usize = 64;

/// Looks for members of one name while they are being read; for most it has nothing to compare.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    /// A bit for each name.
    filter: [u64; 8],
    has_escapes: bool,
    found: bool,
    count: usize,
}

impl Repeated {
    /// Behind these members, which have no name twice.
    pub(crate) fn among<'a, T>(members: &[T], name: impl Fn(&T) -> Text<'a>) -> Repeated {
        let mut repeated = Repeated::default();
        members.iter().for_each(|member| repeated.note(name(member), || false));
        repeated
    }

    /// Takes the next member's name; `earlier` tells whether one of the members before it has it.
    #[inline]
    pub(crate) fn note(&mut self, name: Text<'_>, earlier: impl FnOnce() -> bool) {
        self.count += 1;
        let inner = name.inner().as_bytes();
        let tail = match inner.last_chunk::<8>() {
            Some(tail) => u64::from_le_bytes(*tail),
            None => inner.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        let length = u64::try_from(inner.len()).unwrap_or_default();
        let hash = (tail ^ length.rotate_left(48)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (word, bit) = (usize::try_from(hash >> 61).unwrap_or_default(), 1_u64 << (hash >> 55 & 63));
        self.has_escapes |= name.has_escapes();
        let Some(word) = self.filter.get_mut(word) else { return };
        if (*word & bit != 0 || self.has_escapes) && self.count <= SEVERAL {
            self.found |= earlier();
        }
        *word |= bit;
    }

    /// Whether some name came twice among the members that were read.
    #[inline]
    pub(crate) fn found<'a, T>(&self, members: &[T], name: impl Fn(&T) -> Text<'a>) -> bool {
        self.found || self.count > SEVERAL && many_have_duplicates(members, &name)
    }
}

/// Takes those of the members out that a later one of the same name follows, escapes resolved.
pub(crate) fn keep_last<'a, T>(members: &mut Vec<T>, name: impl Fn(&T) -> Text<'a>) {
    let mut later = HashSet::new();
    let last = |member: &T| later.insert(name(member).decode().into_owned());
    let mut is_last: Vec<bool> = members.iter().rev().map(last).collect();
    members.retain(|_| is_last.pop().unwrap_or(true));
}

/// Whether two members have one name.
pub(crate) fn has_duplicates<'a, T>(members: &[T], name: impl Fn(&T) -> Text<'a>) -> bool {
    if members.len() > FEW {
        return many_have_duplicates(members, &name);
    }
    let is_repeated = |(place, member)| members.iter().take(place).any(|earlier| name(earlier) == name(member));
    members.iter().enumerate().any(is_repeated)
}

fn many_have_duplicates<'a, T>(members: &[T], name: &impl Fn(&T) -> Text<'a>) -> bool {
    let hasher = hashbrown::DefaultHashBuilder::default();
    let hash = |name: &Text<'_>| hasher.hash_one(name.decode().as_ref());
    let mut seen: HashTable<Text<'a>> = HashTable::with_capacity(members.len());
    for member in members {
        let name = name(member);
        match seen.entry(hash(&name), |other| *other == name, hash) {
            Entry::Occupied(_) => return true,
            Entry::Vacant(vacant) => {
                vacant.insert(name);
            }
        }
    }
    false
}
