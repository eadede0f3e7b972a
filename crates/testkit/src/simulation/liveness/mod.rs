//! Time bounds, checked several times per second of virtual time while nothing prevents them.
//!
//! A bound holds only while nothing stands in its way: no weather, and a worker with which nothing is wrong. Three cases
//! leave no others. Nobody beats the lease: then another worker takes it. A worker beats it and does not reach a service:
//! then it gives the lease up. A worker with which nothing is wrong has it: then it reads every shard.

mod indices;
mod lag;
mod lease;
mod shards;

use streamdex_poller::graph::Until;
use streamdex_poller::status::StatusBoard;

use self::indices::check_other_indices;

use self::shards::Reading;
use super::gate::Condition;
use super::seen::Liveness;
use super::time::SECOND;
use super::world::World;

/// A worker, as it is now.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) condition: Condition,
    pub(super) board: &'a StatusBoard,
}

/// So long after the last weather, what hangs is over for a standby.
const STANDBY_RECOVERS: u64 = 15 * SECOND;
/// And for a reader, whose longest wait is that of a bulk request.
const READER_RECOVERS: u64 = 45 * SECOND;

// === impl Liveness ===

impl Liveness {
    /// A worker reads a shard; that counts where it has the lease.
    pub(super) fn polled(&mut self, worker: &str, shard: &str, now: u64) {
        if self.lease.owner() == Some(worker) {
            self.shards.polled(worker, shard, now);
        }
    }

    pub(super) fn drained(&mut self, shard: &str, now: u64) {
        self.shards.drained(shard, now);
    }

    pub(super) fn pinned(&mut self, now: u64) {
        self.pinned.get_or_insert(now);
    }
}

/// Checks every bound at this moment.
pub(super) fn check(world: &World, members: &[Member<'_>]) {
    if !promises(world) {
        return;
    }
    let now = world.time.millis();
    let quiet_from = world.weather.quiet_from();
    let mut liveness = world.liveness();
    let owner = liveness.lease.owner().map(str::to_owned);
    let given_back_by = liveness.lease.given_back_by.clone();
    let reader = members.iter().find(|member| Some(member.name) == owner.as_deref());
    let status = reader.map(|reader| reader.board.snapshot());
    let is_waiting = status.as_ref().is_some_and(|status| status.undecided > 0);
    liveness.waiting = if is_waiting { liveness.waiting.or(Some(now)) } else { None };
    let waiting = liveness.waiting;
    let standby = well_standby(members, owner.as_deref().or(given_back_by.as_deref()))
        .map(|since| since.max(quiet_from) + STANDBY_RECOVERS);
    let patience = u64::try_from(world.plan.freshness.as_millis()).unwrap_or_default();
    liveness.lease.check(reader, standby, (now, waiting, patience), world);
    let Some(reader) = reader.filter(|reader| reader.condition.can_beat) else { return };
    let Liveness { lag, shards, .. } = &mut *liveness;
    if let Some(status) = &status {
        lag.check(world, (reader.name, status), shards, now);
    }
    let (Some(well_since), Some(pinned)) = (reader.condition.well_since, liveness.pinned) else { return };
    let trouble = quiet_from.max(well_since);
    let taken = liveness.lease.taken().max(pinned);
    // Who took the lease when trouble was over long ago has nothing left of it.
    let from = if taken > trouble + STANDBY_RECOVERS { taken } else { taken.max(trouble + READER_RECOVERS) };
    check_other_indices(world, from, now);
    // Records wait for what is decided of refusals, for a minute at most. To the present end, shards end one by one.
    if world.plan.stream.poison > 0 || world.plan.until == Until::PresentEnd {
        return;
    }
    // And for an index that takes no writes.
    let unblocked = world.search().unblocked();
    let from = if unblocked > 0 { from.max(unblocked + READER_RECOVERS) } else { from };
    let others_read = members.iter().any(|member| member.name != reader.name && member.condition.well_since.is_none());
    let reading = Reading { worker: reader.name, from, pinned, others_read };
    liveness.shards.check(&reading, now, world);
}

/// Whether something is promised of time. A gap is an operator's business, and so are items of the state table that somebody
/// has changed.
fn promises(world: &World) -> bool {
    let goes_on = !world.is_tampered() && !world.is_resigned() && world.table().streams.len() == 1;
    goes_on && world.state().gaps().next().is_none()
}

/// Since when there is a standby with which nothing is wrong.
fn well_standby(members: &[Member<'_>], owner: Option<&str>) -> Option<u64> {
    let standbys = members.iter().filter(|member| Some(member.name) != owner);
    standbys.filter_map(|member| member.condition.well_since).min()
}
