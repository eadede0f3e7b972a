//! The lag that a reader shows, beside the true one.

use std::collections::BTreeSet;

use streamdex_poller::graph::Until;
use streamdex_poller::status::Status;

use crate::simulation::seen::{LagWatch, ShardWatch};
use crate::simulation::table::{Entry, Shard, Table};
use crate::simulation::time::{HOUR, SECOND};
use crate::simulation::world::World;

/// News is looked for once in the freshness and a tenth more, and that takes a call.
const CALL: u64 = 500;
/// Until a page that was asked for is taken up, nobody knows that news came.
const HAND_OVER: u64 = 1_500;
/// A record shows so long after its change.
const UNSEEN: u64 = 900;
/// Creation times are rounded down to the second.
const ROUNDED: u64 = SECOND;

/// Empty pages can hide records that are so much older than what is taken for the present end, and what was there before
/// the first worker began.
const HIDDEN: u64 = 100 * SECOND;

/// A stream keeps records for so long: no lag is larger.
const KEPT: u64 = 24 * HOUR;

impl LagWatch {
    /// No shard may hold a record without an outcome that is older than the lag that is shown, but for what no reader can
    /// know yet.
    pub(super) fn check(&mut self, world: &World, (name, status): (&str, &Status), watch: &ShardWatch, now: u64) {
        if world.plan.until == Until::PresentEnd {
            // What was read to its end is not looked at again.
            return;
        }
        let Some(shown) = status.lag().filter(|_| status.role.is_reader()) else { return };
        let shown = u64::try_from(shown.as_millis()).unwrap_or(u64::MAX);
        let freshness = u64::try_from(world.plan.freshness.as_millis()).unwrap_or_default();
        let allowed = freshness + freshness / 10 + CALL + HAND_OVER + UNSEEN + ROUNDED;
        let table = world.table();
        let shards = table.streams.iter().flat_map(|stream| stream.shards.values());
        let late = shards.clone().filter(|shard| watch.is_late((&table, shard), world.plan.start()));
        self.late.extend(late.map(|shard| shard.id.clone()));
        let late = &self.late;
        let oldest = shards.filter_map(|shard| {
            let oldest = shard.open_records().next().filter(|entry| entry.visible_from <= now)?;
            let hidden = if is_deceived(shard, oldest) { HIDDEN + world.plan.head_start } else { 0 };
            is_known(world, (&table, shard, oldest), late).then(|| (oldest.created + hidden, shard.id.clone()))
        });
        let Some((created, shard)) = oldest.min() else { return };
        let lag = now.saturating_sub(created);
        if lag > 2 * allowed {
            world.reached.note("lag");
        }
        if lag > shown + allowed && shown < KEPT && self.said.insert(shard.clone()) {
            for shard in &status.shards {
                let (id, phase, lag) = (&shard.shard, shard.phase, shard.lag);
                world
                    .trace
                    .note(format_args!("{name} shows {id}: {phase:?}, lag {lag:?}, {} undecided", shard.in_flight));
            }
            drop(table);
            world.trace.violation(format_args!("{name} shows a lag of {shown} ms, and that of {shard} is {lag} ms"));
        }
    }
}

/// Whether a reader can know of a record. What pages hide now it cannot; nor what comes after a shard whose pages hid
/// something; nor of a child of a split that is listed later than its sibling.
fn is_known(world: &World, (table, shard, entry): (&Table, &Shard, &Entry), late: &BTreeSet<String>) -> bool {
    // A page that came behind such ones is under way.
    let freshness = u64::try_from(world.plan.freshness.as_millis()).unwrap_or_default();
    let just_now = world.time.millis().saturating_sub(freshness + freshness / 10 + SECOND);
    let parent = |shard: &&Shard| table.shard(shard.parent.as_ref()?);
    let hides = |shard: &Shard| shard.hides() || shard.hidden.deceived.is_some_and(|at| at > just_now);
    let mut before = std::iter::successors(parent(&shard), parent);
    let mut lineage = std::iter::successors(Some(shard), parent);
    !shard.removed
        && !hides(shard)
        && !before.any(|shard| is_deceived(shard, entry))
        && !lineage.any(|shard| late.contains(&shard.id))
}

/// Whether pages of the shard were taken for its end when the record was there.
fn is_deceived(shard: &Shard, entry: &Entry) -> bool {
    shard.hidden.deceived.is_some_and(|at| entry.created <= at)
}
