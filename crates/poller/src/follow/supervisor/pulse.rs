//! What a worker does after each heartbeat.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::stream::ShardId;
use streamdex_sink::Permit;
use tokio::time::Instant;

use super::held::Held;
use super::{AllLost, Supervisor};
use crate::follow::FollowError;
use crate::follow::heartbeat::Pulse;
use crate::follow::prepare::{concerns_all, known};
use crate::follow::status::{LeaseChange, Membership as Shown};
use crate::graph::{KnownProgress, Until};
use crate::lease::{BEAT, Plan, Tenure, plan};
use crate::state::StoredShard;

/// Leases move for the sake of balance only when nobody has come or gone for so long: in a rolling deployment
/// every move would be undone.
const SETTLED: Duration = Duration::from_secs(90);
/// `--until-end` waits so long for other workers to be gone.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(15);
const FORGET: Duration = Duration::from_secs(60);

impl Supervisor {
    pub(super) fn on_pulse(&mut self) -> Result<Option<AllLost>, FollowError> {
        let told = self.pulses.borrow_and_update().clone();
        let Some(told) = told else { return Ok(None) };
        let pulse = told.map_err(FollowError::Refused)?;
        self.pulsed = Instant::now();
        if self.note_gaps(&pulse) {
            return Ok(Some(AllLost));
        }
        if pulse.began < self.viewed {
            // A listing has read the table since.
            return Ok(None);
        }
        self.viewed = pulse.began;
        self.membership.observe(&pulse.loaded.workers, pulse.began, pulse.answered);
        self.graph.absorb(&known(&pulse.loaded, &self.settings, self.shared.clock.as_ref()));
        // Whatever another worker has written to since it made it: where it is not the same, it vanished.
        self.shared.confirm.remember(pulse.loaded.indices.clone());
        let stored = pulse.loaded.shards.iter().map(|shard| &shard.id);
        // An item that cannot be read is there all the same.
        let present = stored.chain(&pulse.loaded.malformed_shards).chain(self.held.keys()).cloned().collect();
        self.graph.done_by_others(&present);
        if let Some(tenure) = self.tenure_of(&pulse) {
            self.drop_lost_leases(&pulse);
            self.take_turns();
            if self.may_claim()? {
                self.assign(&pulse, &tenure);
            }
            self.restart_what_hangs();
        }
        self.show(&pulse);
        Ok(None)
    }

    /// Gaps that other workers have recorded. Whether one of them concerns every lineage.
    fn note_gaps(&mut self, pulse: &Pulse) -> bool {
        for gap in &pulse.loaded.gaps {
            self.board.gap(gap);
        }
        pulse.loaded.gaps.iter().any(|gap| concerns_all(gap, &pulse.loaded.indices, &self.settings))
    }

    /// The tenure in which this worker may hold leases now. One that is over ends everything that was begun in it;
    /// the next one begins when all of that is gone.
    fn tenure_of(&mut self, pulse: &Pulse) -> Option<Arc<Tenure>> {
        match &self.tenure {
            Some(tenure) if tenure.is_granted() => return Some(Arc::clone(tenure)),
            Some(_) => self.lapse(),
            None => {}
        }
        let tenure = Arc::new(Tenure::new(Arc::clone(&self.shared.clock), pulse.confirmed));
        if !self.tasks.is_empty() || !tenure.is_granted() {
            return None;
        }
        self.slot.set(Some(Arc::clone(&tenure)));
        self.tenure = Some(Arc::clone(&tenure));
        self.tenure_began = Instant::now();
        Some(tenure)
    }

    pub(super) fn lapse(&mut self) {
        tracing::warn!("the heartbeat was not confirmed in time: all shards are given up and claimed again");
        self.board.tenure_lapsed();
        self.tenure = None;
        self.slot.set(None);
        let held: Vec<ShardId> = self.held.keys().cloned().collect();
        for shard in held {
            self.graph.let_go(&shard);
            self.give_up(&shard, None);
        }
    }

    fn drop_lost_leases(&mut self, pulse: &Pulse) {
        let me = self.shared.store.worker();
        let is_lost = |shard: &&StoredShard| {
            self.held.get(&shard.id).is_some_and(|held| {
                let ours = shard.holder.owner.as_ref() == Some(me) && shard.holder.fence == held.lease.fence;
                !ours && shard.holder.fence >= held.lease.fence
            })
        };
        let lost: Vec<ShardId> = pulse.loaded.shards.iter().filter(is_lost).map(|shard| shard.id.clone()).collect();
        for shard in lost {
            let Some(held) = self.held.get(&shard) else { continue };
            // Given back just now, and the task is about to say so.
            if held.reading().is_some_and(|reading| reading.stop.is_cancelled()) {
                continue;
            }
            tracing::warn!(%shard, "another worker has taken the lease");
            if let Some(reading) = held.reading() {
                reading.kill.cancel();
            }
            self.graph.let_go(&shard);
            self.give_up(&shard, Some(LeaseChange::Lost));
        }
    }

    /// Workers that start together see each other before the first of them claims everything. `--until-end`
    /// works alone.
    fn may_claim(&mut self) -> Result<bool, FollowError> {
        if self.settings.until == Until::Stopped {
            return Ok(self.tenure_began.elapsed() >= BEAT.mul_f64(0.9));
        }
        let me = self.shared.store.worker();
        let others: Vec<String> = self
            .membership
            .members()
            .iter()
            .filter(|member| member.id != *me)
            .map(|member| member.id.to_string())
            .collect();
        if others.is_empty() {
            return Ok(true);
        }
        if self.began.elapsed() >= PATIENCE_WITH_OTHERS {
            return Err(FollowError::OthersAtWork(others.join(", ")));
        }
        Ok(false)
    }

    /// One worker lists the stream: the oldest.
    fn take_turns(&mut self) {
        let first = self.membership.members().iter().min_by_key(|member| (member.started, &member.id));
        self.lists = first.is_some_and(|first| first.id == *self.shared.store.worker());
    }

    fn assign(&mut self, pulse: &Pulse, tenure: &Arc<Tenure>) {
        let me = self.shared.store.worker().clone();
        let members = self.membership.members();
        let leases = || pulse.loaded.shards.iter().filter(|shard| self.graph.may_be_claimed(&shard.id));
        let weighed =
            leases().map(|shard| (&shard.id, &shard.holder, matches!(shard.progress, KnownProgress::Begun(_))));
        let settled = self.membership.stable_for(pulse.began) >= SETTLED;
        let Plan { claim, release } = plan(&me, members, weighed, settled);
        let claim: BTreeSet<&ShardId> = claim.iter().collect();
        // What is in this worker's name and not in its hands: an answer was lost, or a tenure has ended.
        let mine = |shard: &StoredShard| shard.holder.owner.as_ref() == Some(&me);
        let wanted = |shard: &&StoredShard| {
            let unknown = self.given_up.get(&shard.id).is_some_and(|at| *at >= pulse.began);
            let busy = self.held.contains_key(&shard.id) || self.claiming.contains(&shard.id);
            !busy && !unknown && (claim.contains(&shard.id) || mine(shard))
        };
        let claims: Vec<StoredShard> = leases().filter(wanted).cloned().collect();
        for shard in claims {
            self.claiming.insert(shard.id.clone());
            self.writes.claim(shard.id, shard.holder, Arc::clone(tenure));
        }
        for shard in release {
            if let Some(reading) = self.held.get(&shard).and_then(|held| held.reading()) {
                tracing::info!(%shard, "the lease is given to a worker with fewer");
                reading.stop.cancel();
            }
        }
    }

    fn restart_what_hangs(&mut self) {
        if self.shared.deliver.is_held_back() {
            // Silence while all are held back says nothing, and must not count when that is over.
            self.held.values().filter_map(Held::reading).for_each(|reading| reading.vital.touch());
            return;
        }
        let hanging: Vec<ShardId> =
            self.held.iter().filter(|(_, held)| held.hangs()).map(|(shard, _)| shard.clone()).collect();
        for shard in hanging {
            self.board.watchdog_restart(&shard);
            if let Some(reading) = self.held.get(&shard).and_then(|held| held.reading()) {
                // Its end is an event; the next pulse then finds the lease in nobody's hands, and claims it.
                reading.kill.cancel();
            }
        }
    }

    fn show(&mut self, pulse: &Pulse) {
        let me = self.shared.store.worker();
        let now = self.shared.clock.monotonic();
        self.given_up.retain(|_, at| now.saturating_sub(*at) < FORGET);
        self.board.workers(Shown {
            me: me.to_string(),
            alive: self.membership.members().iter().map(|member| member.id.to_string()).collect(),
            owned: self.held.len(),
        });
        let elsewhere = pulse.loaded.shards.iter().filter(|shard| !self.held.contains_key(&shard.id));
        let elsewhere: Vec<(ShardId, String)> = elsewhere
            .filter_map(|shard| {
                Some((shard.id.clone(), shard.holder.owner.as_ref().filter(|owner| *owner != me)?.to_string()))
            })
            .collect();
        self.board.elsewhere(&elsewhere);
        self.board.open_shards(pulse.loaded.shards.iter().map(|shard| &shard.id));
        let calls = self.held.values().filter_map(|held| held.reading()).map(|reading| reading.vital.calls_per_hour());
        self.board.projected_calls(calls.sum());
        self.board.prefetched(self.shared.budget.held());
    }
}
