//! Checks that an index that accepts no writes does not stop the others.

use std::collections::BTreeSet;

use streamdex_poller::graph::Until;

use crate::simulation::table::{KIND, Shard, Table};
use crate::simulation::time::SECOND;
use crate::simulation::world::World;

/// A change of the other index is there so soon after it shows: its page is taken up behind others, a second each.
const WITHIN: u64 = 30 * SECOND;
/// Pages that are in hand at a time.
const PAGES: usize = 25;

/// While one index takes no writes, changes of the other one are written, up to a bound of what waits (rule L11).
pub(super) fn check_other_indices(world: &World, from: u64, now: u64) {
    if world.plan.until == Until::PresentEnd {
        // What was read to its end is not looked at again.
        return;
    }
    let search = world.search();
    let Some((blocked, since)) = search.blocked(now) else { return };
    let from = from.max(since);
    world.reached.note("one index blocked");
    let freshness = u64::try_from(world.plan.freshness.as_millis()).unwrap_or_default();
    let table = world.table();
    for (key, latest) in &table.latest {
        let Some(item) = table.items.get(key).filter(|item| !item.is_poison()) else { continue };
        let concrete = match item.kind {
            "a" => "sessions-000001",
            "b" => "others-000001",
            _ => continue,
        };
        let is_due = latest.visible_from > from && latest.visible_from + WITHIN + freshness < now;
        if concrete == blocked || !is_due || is_crowded(&table, &latest.shard, since) {
            continue;
        }
        if search.version(concrete, key).is_none_or(|version| version < latest.version) {
            let late = now - latest.visible_from;
            world.trace.violation(format_args!(
                "while {blocked} takes no writes, the {KIND} {} of {key} is not in {concrete} after {late} ms",
                item.kind
            ));
        }
    }
}

/// Whether so many records came that reading may wait.
fn is_crowded(table: &Table, shard: &str, since: u64) -> bool {
    let Some(shard) = table.shard(shard) else { return true };
    // What comes after a roll-over waits for all of the parent, and what pages have hidden adds up.
    let parent = shard.parent.as_ref().and_then(|parent| table.shard(parent));
    shard.opened > since
        || parent.is_some_and(|parent| parent.open_records().next().is_some())
        || shard.hidden.deceived.is_some()
        || shard.records.iter().filter(|entry| entry.visible_from > since).count() > PAGES
        || has_a_key_twice(shard)
}

/// Pages that share a key wait for one another.
fn has_a_key_twice(shard: &Shard) -> bool {
    let mut keys = BTreeSet::new();
    shard.open_records().any(|entry| !keys.insert(&entry.key))
}
