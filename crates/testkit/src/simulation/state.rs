//! The state table: items, and one worker's conditional writes to them.
//!
//! The conditions are those of `StreamState`, which is tested against engines; here they are carried out on a
//! map, at the moment at which a request arrives.

mod items;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use streamdex_config::StartPosition;
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::ShardId;
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::SequenceNumber;
use streamdex_poller::Gap;
use streamdex_poller::graph::{KeepDone, KnownProgress};
use streamdex_poller::lease::{Holder, Lease, WorkerId, Written};
use streamdex_poller::state::{Beat, Loaded, ProgressStore, StoredShard, StoredWorker, StreamStart};
use streamdex_sink::index::KnownIndex;

pub(super) use self::items::StateItems;
use super::gate::Gate;
use super::weather::{Endpoint, Refusal};
use super::world::World;

/// The state table as one worker reaches it.
pub(super) struct SimulatedState {
    gate: Arc<Gate>,
    world: Arc<World>,
    worker: WorkerId,
    /// Of the stream that it follows.
    label: String,
}

/// What a request knows of its sender.
struct Caller {
    worker: WorkerId,
    label: String,
    /// Seconds since 1970 by the sender's clock.
    now: u64,
}

const DEADLINE: Duration = Duration::from_secs(10);

impl SimulatedState {
    pub(super) fn new(gate: &Arc<Gate>, world: &Arc<World>, label: &str) -> SimulatedState {
        let worker = WorkerId::new(gate.name.as_str());
        SimulatedState { gate: Arc::clone(gate), world: Arc::clone(world), worker, label: label.to_owned() }
    }

    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        serve: impl FnOnce(&World, &Caller) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        let failed = |fault| StateError::Aws { table: "state".to_owned(), source: AwsError::new(fault, operation) };
        let world = Arc::clone(&self.world);
        let now = self.gate.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let caller = Caller { worker: self.worker.clone(), label: self.label.clone(), now };
        let answer = self.gate.call(Endpoint::State, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => Err(Fault::Throttled),
            Some(_) => Err(Fault::Transient),
            None => {
                world.state().expire(world.time.seconds());
                Ok(serve(&world, &caller))
            }
        });
        answer.await.unwrap_or(Err(Fault::Transient)).map_err(failed)
    }

    /// A write to a shard's item under its lease.
    async fn fenced(
        &self,
        what: &'static str,
        lease: &Lease,
        write: impl FnOnce(&World, &Caller, &mut StoredShard) -> Written + Send + 'static,
    ) -> Result<Written, StateError> {
        let lease = lease.clone();
        self.call("UpdateItem", move |world, caller| {
            let mut state = world.state();
            let stored = state.owned(&caller.label, &lease, &caller.worker);
            let written = stored.map_or(Written::Lost, |stored| write(world, caller, stored));
            world
                .trace
                .note(format_args!("{} {what} {} under {}: {written:?}", caller.worker, lease.shard, lease.fence));
            written
        })
        .await
    }
}

fn advance(world: &World, caller: &Caller, stored: &mut StoredShard, position: SequenceNumber) -> Written {
    if matches!(&stored.progress, KnownProgress::Begun(Some(earlier)) if order(earlier) > order(&position)) {
        return Written::Lost;
    }
    world.check_acknowledged(caller.worker.as_str(), stored.id.as_str(), Some(order(&position)));
    if matches!(stored.progress, KnownProgress::Begun(_)) {
        stored.progress = KnownProgress::Begun(Some(position));
    }
    stored.updated = caller.now;
    Written::Stored
}

fn order(sequence: &SequenceNumber) -> u128 {
    sequence.as_str().parse().unwrap_or_default()
}

#[async_trait]
impl ProgressStore for SimulatedState {
    fn worker(&self) -> &WorkerId {
        &self.worker
    }

    async fn load(&self) -> Result<Loaded, StateError> {
        self.call("Query", |world, caller| world.state().load(&caller.label)).await
    }

    async fn refresh(&self) -> Result<Loaded, StateError> {
        let loaded = self.call("Query", |world, caller| {
            let mut loaded = world.state().load(&caller.label);
            loaded.shards.retain(|shard| shard.progress != KnownProgress::Done);
            loaded
        });
        loaded.await
    }

    async fn beat(&self, beat: &Beat) -> Result<(), StateError> {
        let beat = beat.clone();
        self.call("PutItem", move |world, caller| {
            let item = StoredWorker {
                id: caller.worker.clone(),
                beat: beat.number,
                started: beat.started,
                at: beat.at,
                version: String::new(),
                summary: beat.summary,
            };
            world.state().workers.insert(caller.worker.clone(), item);
        })
        .await
    }

    async fn leave(&self) -> Result<(), StateError> {
        self.call("DeleteItem", |world, caller| {
            world.trace.note(format_args!("{} leaves", caller.worker));
            world.state().workers.remove(&caller.worker);
        })
        .await
    }

    async fn pin(&self, start: &StreamStart) -> Result<StreamStart, StateError> {
        let start = start.clone();
        self.call("PutItem", move |world, caller| {
            let mut state = world.state();
            let stream = state.stream(&caller.label);
            if stream.start.is_none() {
                world.trace.note(format_args!("{} pins {} roots", caller.worker, start.roots.len()));
                let latest_at = (start.position == StartPosition::Latest).then(|| {
                    let now = world.time.seconds();
                    // A clock that is far off must not excuse anything.
                    if start.at.abs_diff(now) < 120 { start.at } else { now }
                });
                world.table().begin(&caller.label, &start.roots, latest_at);
            }
            stream.start.get_or_insert(start).clone()
        })
        .await
    }

    async fn offer(&self, shard: &ShardId, parent: Option<&ShardId>) -> Result<(), StateError> {
        let (shard, parent) = (shard.clone(), parent.cloned());
        self.call("TransactWriteItems", move |world, caller| {
            let mut state = world.state();
            let opened = state.open(&caller.label, &shard, parent.as_ref(), (Holder::default(), caller.now));
            if opened {
                world.trace.note(format_args!("{} offers {shard}", caller.worker));
            }
            if opened && state.is_done(shard.as_str()) {
                world.trace.violation(format_args!("{} offers {shard}, which is done", caller.worker));
            }
        })
        .await
    }

    async fn claim(&self, shard: &ShardId, holder: &Holder) -> Result<Option<StoredShard>, StateError> {
        let (shard, holder) = (shard.clone(), holder.clone());
        self.call("UpdateItem", move |world, caller| {
            let mut state = world.state();
            let stored = state.stream(&caller.label).shards.get_mut(&shard).filter(|stored| stored.holder == holder)?;
            stored.holder = Holder { owner: Some(caller.worker.clone()), fence: holder.fence + 1 };
            world.trace.note(format_args!("{} claims {shard} with {}", caller.worker, stored.holder.fence));
            Some(stored.clone())
        })
        .await
    }

    async fn checkpoint(&self, lease: &Lease, position: &SequenceNumber) -> Result<Written, StateError> {
        let position = position.clone();
        self.fenced("checkpoints", lease, |world, caller, stored| advance(world, caller, stored, position)).await
    }

    async fn release(&self, lease: &Lease, position: Option<&SequenceNumber>) -> Result<Written, StateError> {
        let position = position.cloned();
        self.fenced("releases", lease, |world, caller, stored| {
            let written = position.map_or(Written::Stored, |position| advance(world, caller, stored, position));
            if written == Written::Stored {
                stored.holder.owner = None;
            }
            written
        })
        .await
    }

    async fn finish(&self, lease: &Lease) -> Result<Written, StateError> {
        self.fenced("finishes", lease, |world, caller, stored| {
            world.check_acknowledged(caller.worker.as_str(), stored.id.as_str(), None);
            stored.progress = KnownProgress::Finished;
            stored.updated = caller.now;
            Written::Stored
        })
        .await
    }

    async fn succeed(&self, lease: &Lease, children: &[ShardId], keep: &KeepDone) -> Result<Written, StateError> {
        let (lease, children, keep) = (lease.clone(), children.to_vec(), keep.clone());
        self.call("TransactWriteItems", move |world, caller| {
            let mut state = world.state();
            let written = state.succeed(&caller.label, &lease, (&children, &keep), (&caller.worker, caller.now));
            if written == Written::Stored {
                world.check_acknowledged(caller.worker.as_str(), lease.shard.as_str(), None);
            }
            world.trace.note(format_args!("{} hands {} on to {children:?}: {written:?}", caller.worker, lease.shard));
            written
        })
        .await
    }

    async fn gap(&self, gap: &Gap) -> Result<(), StateError> {
        let gap = gap.clone();
        self.call("PutItem", move |world, caller| {
            world.trace.note(format_args!("{} records a gap: {} {}", caller.worker, gap.kind.name(), gap.subject));
            let mut state = world.state();
            let gaps = &mut state.stream(&caller.label).gaps;
            if !gaps.iter().any(|known| known.kind == gap.kind && known.subject == gap.subject) {
                gaps.push(gap);
            }
        })
        .await
    }

    async fn index(&self, index: &KnownIndex) -> Result<(), StateError> {
        let index = index.clone();
        self.call("PutItem", move |world, _| {
            let mut state = world.state();
            if !state.indices.iter().any(|known| known.concrete == index.concrete) {
                state.indices.push(index);
            }
        })
        .await
    }
}
