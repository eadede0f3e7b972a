//! The life of one shard here: claimed, read, drained, given up.

use std::sync::Arc;

use streamdex_dynamodb::stream::ShardId;
use streamdex_sink::index::VanishedIndex;
use tokio_util::sync::CancellationToken;

use super::held::{Held, Reading, Work};
use super::{AllLost, Supervisor};
use crate::clock::seconds;
use crate::follow::FollowError;
use crate::follow::status::{LeaseChange, Phase};
use crate::gap::{Gap, GapKind};
use crate::graph::{KnownProgress, ReadFrom};
use crate::horizon::Horizon;
use crate::lease::{Lease, Tenure, Written};
use crate::shard::{Job, ShardEnd, Vital, follow_shard};
use crate::state::StoredShard;

impl Supervisor {
    /// A claim is stored: this worker reads the shard, or looks for its children.
    pub(super) fn claimed(&mut self, stored: StoredShard, tenure: Arc<Tenure>) {
        self.board.lease_changed(LeaseChange::Claimed);
        let lease = Lease { shard: stored.id.clone(), fence: stored.holder.fence };
        match &stored.progress {
            KnownProgress::Finished => {
                self.held.insert(stored.id.clone(), Held { lease, work: Work::SearchingChildren });
                self.board.phase(&stored.id, Phase::SearchingChildren);
                let commands = self.graph.drained(&stored.id);
                self.obey(commands);
            }
            KnownProgress::Begun(position) => {
                let from = self.read_from(&stored, position.clone());
                self.read(lease, stored.parent, from, stored.updated, tenure);
            }
            KnownProgress::Done | KnownProgress::Gapped => {}
        }
    }

    /// Where to begin. The service itself says whether what follows a certain record was trimmed.
    fn read_from(&self, stored: &StoredShard, position: Option<streamdex_mapping::SequenceNumber>) -> ReadFrom {
        match position {
            Some(position) => ReadFrom::After(position),
            None if self.graph.is_root(&stored.id) && stored.holder.fence <= 1 => ReadFrom::Oldest,
            None => ReadFrom::Beginning,
        }
    }

    /// Until when all of a shard without a checkpoint is there, whose item was written at `noted`.
    fn horizon(&self, shard: &ShardId, noted: u64) -> Option<Horizon> {
        let arn = &self.settings.stream_arn;
        match self.graph.is_root(shard) {
            // A group begins with what is left of its roots.
            true => Horizon::since(noted, arn),
            false => Horizon::of_shard(shard, noted, self.start.at, arn),
        }
    }

    fn read(&mut self, lease: Lease, parent: Option<ShardId>, from: ReadFrom, noted: u64, tenure: Arc<Tenure>) {
        let shard = lease.shard.clone();
        let reading = Reading {
            stop: self.shared.stop.child_token(),
            kill: CancellationToken::new(),
            vital: Arc::new(Vital::default()),
        };
        let job = Job {
            shard: shard.clone(),
            lease: lease.clone(),
            tenure,
            stop: reading.stop.clone(),
            kill: reading.kill.clone(),
            vital: Arc::clone(&reading.vital),
            parent,
            from,
            horizon: self.horizon(&shard, noted),
            floor: self.floor(),
            end: self.end,
        };
        tracing::debug!(%shard, fence = lease.fence, "reading shard");
        let (shared, fence) = (Arc::clone(&self.shared), lease.fence);
        self.held.insert(shard.clone(), Held { lease, work: Work::Reading(reading) });
        self.tasks.spawn(async move {
            let end = Box::pin(follow_shard(job, shared)).await;
            (shard, fence, end)
        });
    }

    pub(super) fn shard_ended(
        &mut self,
        shard: ShardId,
        fence: u64,
        end: ShardEnd,
    ) -> Result<Option<AllLost>, FollowError> {
        // An earlier lease's task, or one whose lease is known to be lost.
        let is_held = self.held.get(&shard).is_some_and(|held| held.lease.fence == fence);
        match end {
            ShardEnd::GaveUp { message, hint } => return Err(FollowError::GaveUp { message, hint }),
            ShardEnd::Gap(gap) => {
                self.stand_still(&shard, is_held);
                self.record(gap);
            }
            ShardEnd::IndexLost(lost) => {
                self.stand_still(&shard, is_held);
                return Ok(self.indices_lost(&lost));
            }
            _ if !is_held => {}
            ShardEnd::Drained => {
                tracing::debug!(%shard, "shard is read to its end");
                self.board.phase(&shard, Phase::SearchingChildren);
                if let Some(held) = self.held.get_mut(&shard) {
                    held.work = Work::SearchingChildren;
                }
                let commands = self.graph.drained(&shard);
                self.obey(commands);
            }
            ShardEnd::AtEnd => {
                self.board.end(&shard);
                self.graph.at_end(&shard);
            }
            ShardEnd::Stopped => self.give_up(&shard, Some(LeaseChange::Released)),
            ShardEnd::LeaseLost => self.give_up(&shard, Some(LeaseChange::Lost)),
            ShardEnd::Dropped => self.give_up(&shard, None),
        }
        Ok(None)
    }

    /// A write under a lease is answered.
    pub(super) fn written(&mut self, lease: &Lease, written: Written) {
        let is_held = self.held.get(&lease.shard).is_some_and(|held| held.lease == *lease);
        if written == Written::Lost && is_held {
            self.graph.let_go(&lease.shard);
            self.give_up(&lease.shard, Some(LeaseChange::Lost));
            self.hurry.notify_one();
        }
    }

    /// The parent is done, and its children are this worker's.
    pub(super) fn succeeded(&mut self, lease: &Lease, children: Vec<ShardId>, tenure: &Arc<Tenure>) {
        let late = self.graph.succeeded(&lease.shard, &children);
        self.held.remove(&lease.shard);
        self.obey(late);
        let noted = seconds(self.shared.clock.as_ref());
        for child in children {
            self.board.lease_changed(LeaseChange::Claimed);
            let lease_of_child = Lease { shard: child, fence: 1 };
            self.read(lease_of_child, Some(lease.shard.clone()), ReadFrom::Beginning, noted, Arc::clone(tenure));
        }
        self.board.end(&lease.shard);
    }

    pub(super) fn lease_of(&self, shard: &ShardId) -> Option<(Lease, Arc<Tenure>)> {
        Some((self.held.get(shard)?.lease.clone(), self.tenure.clone()?))
    }

    pub(super) fn give_up(&mut self, shard: &ShardId, change: Option<LeaseChange>) {
        if let Some(change) = change {
            self.board.lease_changed(change);
            self.given_up.insert(shard.clone(), self.shared.clock.monotonic());
        }
        self.held.remove(shard);
        self.board.phase(shard, Phase::Waiting);
    }

    fn stand_still(&mut self, shard: &ShardId, is_held: bool) {
        self.graph.gapped(shard);
        self.board.phase(shard, Phase::Gapped);
        if is_held && let Some(held) = self.held.get_mut(shard) {
            held.work = Work::Standing;
        }
    }

    fn indices_lost(&mut self, lost: &[VanishedIndex]) -> Option<AllLost> {
        for vanished in lost {
            let detail = match &vanished.found_uuid {
                Some(found) => format!(
                    "it had the UUID {}; the index of that name with the UUID {found} is left alone",
                    vanished.expected_uuid
                ),
                None => format!("it had the UUID {}", vanished.expected_uuid),
            };
            self.record(Gap::new(GapKind::IndexVanished, &vanished.concrete).with_detail(detail));
        }
        let sole = self.settings.sole_index.as_deref();
        lost.iter().any(|vanished| sole == Some(vanished.index.as_str())).then_some(AllLost)
    }
}
