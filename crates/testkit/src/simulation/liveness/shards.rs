//! Whether a reader with which nothing is wrong reads every shard.

use streamdex_config::StartPosition;

use crate::simulation::seen::{CHECK_EVERY, ShardWatch};
use crate::simulation::table::{Shard, Stream, Table};
use crate::simulation::time::SECOND;
use crate::simulation::world::World;

/// Who reads, and from when on it can be expected to.
pub(super) struct Reading<'a> {
    pub(super) worker: &'a str,
    pub(super) from: u64,
    /// When the group began.
    pub(super) pinned: u64,
    /// Another worker may read as well, and take its share of the calls.
    pub(super) others_read: bool,
}

/// A call that the service refuses is made again after 10 s at most.
const REFUSED: u64 = 12 * SECOND;
/// Calls, and what is written between two of them.
const CALLS: u64 = 2 * SECOND + SECOND / 2;
/// A child is asked for each 0.8 s at most, gets its item and is read. It can be refused at first.
const ROLL_OVER: u64 = 4 * SECOND;
/// DescribeStream is called 6.7 times a second.
const DESCRIBE: u64 = 150;
/// From when listings show it, the end of a shard is seen and noted within this time: a child is asked for each second, and
/// a listing follows four seconds later.
const END: u64 = 7 * SECOND;
/// What no question by name finds, a listing does: each minute and a quarter.
const LISTING: u64 = 76 * SECOND;

// === impl ShardWatch ===

impl ShardWatch {
    pub(super) fn polled(&mut self, worker: &str, shard: &str, now: u64) {
        if let Some(polled) = self.polled.get_mut(shard).filter(|polled| polled.0 == worker) {
            polled.1 = now;
        } else {
            self.polled.insert(shard.to_owned(), (worker.to_owned(), now));
        }
    }

    pub(super) fn drained(&mut self, shard: &str, now: u64) {
        self.drained.entry(shard.to_owned()).or_insert(now);
    }

    /// Whether a split has made this one as well, and nobody has read it yet, while its sibling is read.
    pub(super) fn is_late(&self, (table, shard): (&Table, &Shard), start: StartPosition) -> bool {
        if shard.parent.is_none() || self.polled.contains_key(&shard.id) {
            return false;
        }
        if start == StartPosition::Latest {
            // Nobody has to read what it comes from.
            return true;
        }
        let siblings = table.streams.iter().flat_map(|stream| stream.shards.values());
        let siblings = siblings.filter(|sibling| sibling.parent == shard.parent && sibling.id != shard.id);
        siblings.into_iter().any(|sibling| self.polled.contains_key(&sibling.id))
    }

    /// Checks that none waits for too long.
    pub(super) fn check(&mut self, reading: &Reading<'_>, now: u64, world: &World) {
        let table = world.table();
        let Some(stream) = table.streams.first().filter(|stream| stream.enabled) else { return };
        let mut late = Vec::new();
        for shard in stream.shards.values().filter(|shard| !shard.removed && shard.listed_from <= now) {
            // What a group that begins at the latest records does not begin with is none of its business.
            let is_before = world.plan.latest && shard.closed.is_some_and(|closed| closed <= reading.pinned);
            if world.state().is_done(&shard.id) || is_before {
                continue;
            }
            let Some(ready) = self.ready_from(&table, shard) else { continue };
            let due = match self.end_due(stream, shard, now) {
                Some(end) => {
                    let polled = self.poll_due(reading, (stream, shard, ready), world);
                    end.max(polled) + END + self.describes(stream) + refusals(reading, world)
                }
                None => self.poll_due(reading, (stream, shard, ready), world),
            };
            if now > due + CHECK_EVERY {
                let polled = self.polled.get(&shard.id).map(|(_, at)| *at);
                let is_read_out = self.read_out.contains_key(&shard.id);
                late.push((shard.id.clone(), now - due, format!("last read at {polled:?}, read out: {is_read_out}")));
            }
        }
        drop(table);
        for (shard, by, how) in late {
            if self.said.insert(shard.clone()) {
                let worker = reading.worker;
                world
                    .trace
                    .violation(format_args!("{worker} leaves {shard} unread, {by} ms longer than it may ({how})"));
            }
        }
    }

    /// From when on the shard can be read: where its parent was drained.
    fn ready_from(&self, table: &Table, shard: &Shard) -> Option<u64> {
        let Some(parent) = &shard.parent else { return Some(shard.listed_from) };
        table.shard(parent).filter(|parent| !parent.removed)?;
        Some(self.drained.get(parent)?.max(&shard.listed_from).to_owned())
    }

    /// From when on the shard can be noted as drained, where it holds nothing more.
    fn end_due(&mut self, stream: &Stream, shard: &Shard, now: u64) -> Option<u64> {
        if shard.closed.is_none_or(|closed| closed > now) || shard.open_records().next().is_some() {
            self.read_out.remove(&shard.id);
            return None;
        }
        let read_out = *self.read_out.entry(shard.id.clone()).or_insert(now);
        if self.drained.contains_key(&shard.id) {
            return Some(u64::MAX / 2);
        }
        let children = stream.shards.values().filter(|child| child.parent.as_ref() == Some(&shard.id));
        let shown = children.map(|child| child.listed_from).min().unwrap_or(u64::MAX).min(shard.shown_closed_from);
        Some(read_out.max(shown.min(u64::MAX / 2)))
    }

    fn poll_due(&self, reading: &Reading<'_>, (stream, shard, ready): (&Stream, &Shard, u64), world: &World) -> u64 {
        let freshness = u64::try_from(world.plan.freshness.as_millis()).unwrap_or_default();
        let refused = refusals(reading, world);
        let polled = self.polled.get(&shard.id).filter(|(worker, _)| worker == reading.worker);
        match polled {
            Some((_, at)) => (*at).max(reading.from) + freshness + freshness / 10 + CALLS + refused,
            None => {
                world.reached.note("roll-over");
                let siblings = stream.shards.values().filter(|sibling| sibling.parent == shard.parent);
                let first = siblings.map(|sibling| sibling.listed_from).min().unwrap_or(ready);
                let is_late = shard.parent.is_some() && shard.listed_from > first;
                let forgets = world.plan.stream.forgets > 0;
                let lies = forgets || !world.plan.stream.lies.are_none();
                let listing = if is_late || lies || shard.parent.is_none() { LISTING } else { 0 };
                // One listing can leave it out.
                let listing = if forgets { 2 * listing } else { listing };
                ready.max(reading.from) + ROLL_OVER + self.describes(stream) + listing + refused
            }
        }
    }

    /// How long all calls of DescribeStream take that can come at once: pages of a listing, and questions for children.
    fn describes(&self, stream: &Stream) -> u64 {
        let shards = u64::try_from(stream.shards.len()).unwrap_or_default();
        2 * shards * DESCRIBE
    }
}

/// How long a shard rests where calls on it were refused.
fn refusals(reading: &Reading<'_>, world: &World) -> u64 {
    if reading.others_read || world.plan.stream.reads_a_second < 5 { REFUSED } else { 0 }
}
