//! Duplicate names in a JSON object: the last member wins.

use hashbrown::HashSet;

use crate::text::Text;

/// The number of members that the bits of a filter can distinguish.
const SEVERAL: usize = 64;

/// Takes those of the members out that a later one of the same name follows, escapes resolved.
pub(crate) fn keep_last<'a, T>(members: &mut Vec<T>, name: impl Fn(&T) -> Text<'a>) {
    let mut later = HashSet::new();
    let last = |member: &T| later.insert(name(member).decode());
    let mut is_last: Vec<bool> = members.iter().rev().map(last).collect();
    members.retain(|_| is_last.pop().unwrap_or(true));
}

/// Whether two members have the same name. If each has a different bit, no names are compared.
pub(crate) fn has_duplicates<'a, T>(members: &[T], name: impl Fn(&T) -> Text<'a>) -> bool {
    if members.len() > SEVERAL {
        let mut seen = HashSet::with_capacity(members.len());
        return !members.iter().all(|member| seen.insert(name(member).decode()));
    }
    let (mut filter, mut has_escapes) = ([0_u64; 8], false);
    for (place, member) in members.iter().enumerate() {
        let text = name(member);
        let inner = text.inner().as_bytes();
        let tail = match inner.last_chunk::<8>() {
            Some(tail) => u64::from_le_bytes(*tail),
            None => inner.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        let length = u64::try_from(inner.len()).unwrap_or_default();
        let hash = (tail ^ length.rotate_left(48)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bit = 1_u64 << (hash >> 55 & 63);
        let Some(word) = usize::try_from(hash >> 61).ok().and_then(|word| filter.get_mut(word)) else { continue };
        has_escapes |= text.has_escapes();
        let may_repeat = *word & bit != 0 || has_escapes;
        *word |= bit;
        if may_repeat && members.iter().take(place).any(|earlier| name(earlier) == text) {
            return true;
        }
    }
    false
}
