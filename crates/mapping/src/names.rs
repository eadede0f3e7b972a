//! The members of one JSON object that have the same name: the last one stays.

use std::collections::HashSet;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::node::{Members, Node};
use crate::text::Text;

/// Up to so many members, comparing each with each is the fastest.
const FEW: usize = 8;

/// Takes those of the members from `from` on out of `nodes` that a later one of the same name follows, escapes resolved.
pub(crate) fn last_wins(nodes: &mut Vec<Node<'_>>, from: usize) {
    let members = || Members { rest: nodes.get(from..).unwrap_or_default() };
    if !has_duplicates(members()) {
        return;
    }
    let mut kept = Vec::new();
    let members: Vec<_> = members().collect();
    let mut later = HashSet::new();
    for (name, value) in members.into_iter().rev() {
        if later.insert(name.decode()) {
            kept.push((name, value.to_vec()));
        }
    }
    nodes.truncate(from);
    for (name, value) in kept.into_iter().rev() {
        nodes.push(Node::Name(name));
        nodes.extend(value);
    }
}

fn has_duplicates(members: Members<'_, '_>) -> bool {
    let mut few: [Text<'_>; FEW] = [Text::Clean(""); FEW];
    let mut count = 0;
    for (name, _) in members.clone() {
        let Some(place) = few.get_mut(count) else { return many_have_duplicates(members) };
        *place = name;
        count += 1;
        let before = few.get(..count - 1).unwrap_or_default();
        if before.contains(&name) {
            return true;
        }
    }
    false
}

fn many_have_duplicates(members: Members<'_, '_>) -> bool {
    let hasher = hashbrown::DefaultHashBuilder::default();
    let hash = |name: &Text<'_>| hasher.hash_one(name.decode().as_ref());
    let mut seen: HashTable<Text<'_>> = HashTable::with_capacity(members.clone().count());
    for (name, _) in members {
        match seen.entry(hash(&name), |other| *other == name, hash) {
            Entry::Occupied(_) => return true,
            Entry::Vacant(vacant) => {
                vacant.insert(name);
            }
        }
    }
    false
}
