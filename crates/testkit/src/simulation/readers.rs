//! The view of readers of the indices.

use std::collections::BTreeMap;

/// Which generation searches see, by alias.
pub(super) type Readers = BTreeMap<String, u32>;

/// What searches see at first.
pub(super) const EARLIER: u32 = 9;

/// What searches see before anything has moved.
pub(super) fn earlier_readers(two_indices: bool) -> Readers {
    let names = ["sessions"].into_iter().chain(two_indices.then_some("others"));
    names.flat_map(|name| [name.to_owned(), format!("{name}-live")]).map(|alias| (alias, EARLIER)).collect()
}
