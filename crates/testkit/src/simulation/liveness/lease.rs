//! The time that a table is without a reader, or has a reader without progress.

use std::time::Duration;

use streamdex_poller::lease::longest_without_progress;

use super::{Member, promises};
use crate::simulation::seen::{CHECK_EVERY, OwnerWatch};
use crate::simulation::time::SECOND;
use crate::simulation::world::World;

/// A lease that was given back is taken so soon: a look, and the calls. Who gave it up lately lets others go first.
const AFTER_A_RELEASE: u64 = 2 * SECOND + SECOND / 2;
/// One that expires: the expiry, a look before it and one behind, and the calls.
const AFTER_AN_END: u64 = 9 * SECOND + SECOND / 2;
/// The first worker of all writes what stops earlier ones, and looks whether there are any.
const AT_FIRST: u64 = 2 * SECOND;
/// A page in hand, and the calls that are under way: a reader asks for nothing meanwhile.
const IN_HAND: u64 = 6 * SECOND;

// === impl OwnerWatch ===

impl OwnerWatch {
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// A worker takes the lease, after so many terms without progress.
    pub(crate) fn begin(&mut self, worker: &str, fruitless: u32, world: &World) {
        let now = world.time.millis();
        let from = self.released.or(self.silent);
        if let (Some(from), Some(ready)) = (from, self.ready)
            && ready <= from
            && promises(world)
        {
            let bound = if self.released.is_some() { AFTER_A_RELEASE } else { AFTER_AN_END } + spread(world);
            world.reached.note(if self.released.is_some() { "take-over: clean" } else { "take-over: expired" });
            if now > from + bound {
                let took = now - from;
                world.trace.violation(format_args!("{worker} takes the lease {took} ms after it could have"));
            }
        }
        *self = OwnerWatch { owner: Some(worker.to_owned()), taken: now, fruitless, ..OwnerWatch::default() };
    }

    /// It was given back.
    pub(crate) fn end(&mut self, now: u64) {
        let given_back_by = self.owner.take();
        *self = OwnerWatch { released: Some(now), ready: self.ready, given_back_by, ..OwnerWatch::default() };
    }

    /// Checks that another worker goes on where this one does not: `standby` is from when on one is ready to.
    pub(super) fn check(
        &mut self,
        reader: Option<&Member<'_>>,
        standby: Option<u64>,
        (now, waiting, freshness): (u64, Option<u64>, u64),
        world: &World,
    ) {
        self.ready = standby;
        let beats = reader.is_some_and(|reader| reader.condition.can_beat);
        let misses_stream = reader.is_some_and(|reader| !reader.condition.reaches_stream);
        let misses_search = reader.is_some_and(|reader| !reader.condition.reaches_search) && waiting.is_some();
        self.silent = (!beats).then(|| self.silent.unwrap_or(now));
        self.stuck = (beats && (misses_stream || misses_search)).then(|| self.stuck.unwrap_or(now));
        let bound = match (self.silent, self.stuck) {
            (Some(silent), _) if self.owner.is_some() => Some((silent, AFTER_AN_END, "nobody beats")),
            (Some(silent), _) => match self.released {
                Some(released) => Some((released, AFTER_A_RELEASE, "it was given back")),
                None => Some((silent, AT_FIRST, "nobody ever had it")),
            },
            (None, Some(stuck)) => {
                let allowed = millis(longest_without_progress(self.fruitless)) + freshness + freshness / 10 + IN_HAND;
                Some((stuck.max(self.taken), allowed + AFTER_AN_END, "its owner does not get on"))
            }
            (None, None) => None,
        };
        let (Some((since, bound, why)), Some(standby)) = (bound, standby) else {
            self.said = false;
            return;
        };
        if self.stuck.is_some() {
            world.reached.note(if misses_stream { "reader without stream" } else { "reader without search" });
        }
        let from = since.max(standby) + spread(world);
        if now > from + bound + CHECK_EVERY && !std::mem::replace(&mut self.said, true) {
            let lasted = now - from;
            world.trace.violation(format_args!("for {lasted} ms no other worker has taken the lease, and {why}"));
        }
    }
}

/// A process that has another lease waits a part of a second, so that tables spread.
fn spread(world: &World) -> u64 {
    if world.plan.sources > 1 { SECOND } else { 0 }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
