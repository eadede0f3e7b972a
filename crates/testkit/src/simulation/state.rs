//! The state table: items, conditional writes, and one worker's way to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::StartPosition;
use streamdex_mapping::SequenceNumber;
use streamdex_poller::graph::KnownProgress;
use streamdex_poller::state::{Checkpointed, Generations, Loaded, ProgressStore, StateError, StoredShard, StreamStart};
use streamdex_poller::stream::ShardId;
use streamdex_poller::{AwsError, Fault, Gap};
use streamdex_sink::index::KnownIndex;

use super::gate::Gate;
use super::weather::{Endpoint, Refusal};
use super::world::World;

/// The items of one group about one table.
#[derive(Debug, Default)]
pub(super) struct StateItems {
    pub(super) start: Option<StreamStart>,
    pub(super) shards: BTreeMap<ShardId, ShardItem>,
    pub(super) gaps: Vec<Gap>,
    pub(super) indices: Vec<KnownIndex>,
}

#[derive(Debug, Clone)]
pub(super) struct ShardItem {
    pub(super) parent: Option<ShardId>,
    pub(super) finished: bool,
    pub(super) position: Option<SequenceNumber>,
    pub(super) owner: Option<String>,
    pub(super) updated: u64,
}

/// The state table as one worker reaches it.
pub(super) struct SimulatedState {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
}

const DEADLINE: Duration = Duration::from_secs(10);

impl StateItems {
    pub(super) fn owner(&self, shard: &str) -> Option<String> {
        self.shards.get(&ShardId::new(shard))?.owner.clone()
    }
}

impl SimulatedState {
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        serve: impl FnOnce(&World, &str) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        let failed = |fault| StateError::Aws { table: "state".to_owned(), source: AwsError::new(fault, operation) };
        let (world, name) = (Arc::clone(&self.world), self.gate.name.clone());
        let answer = self.gate.call(Endpoint::State, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => Err(Fault::Throttled),
            Some(_) => Err(Fault::Transient),
            None => Ok(serve(&world, &name)),
        });
        answer.await.unwrap_or(Err(Fault::Transient)).map_err(failed)
    }
}

#[async_trait]
impl ProgressStore for SimulatedState {
    async fn load(&self) -> Result<Loaded, StateError> {
        self.call("Query", |world, _| {
            let state = world.state();
            let shards = state.shards.iter().map(|(id, item)| StoredShard {
                id: id.clone(),
                parent: item.parent.clone(),
                progress: if item.finished {
                    KnownProgress::Finished
                } else {
                    KnownProgress::Begun(item.position.clone())
                },
                generations: Generations::new(),
                // The follower of today compares this with the clock of this machine.
                updated: this_machine().saturating_sub(world.time.seconds() - item.updated),
            });
            Loaded {
                start: state.start.clone(),
                other_streams: Vec::new(),
                shards: shards.collect(),
                gaps: state.gaps.clone(),
                indices: state.indices.clone(),
                malformed: Vec::new(),
            }
        })
        .await
    }

    async fn pin(&self, start: &StreamStart) -> Result<StreamStart, StateError> {
        let start = start.clone();
        self.call("PutItem", move |world, name| {
            let mut state = world.state();
            if state.start.is_none() {
                world.trace.note(format_args!("{name} pins {} roots", start.roots.len()));
                let latest_at = (start.position == StartPosition::Latest).then(|| {
                    let now = world.time.seconds();
                    // A clock that is far off must not excuse anything.
                    if start.at.abs_diff(now) < 120 { start.at } else { now }
                });
                world.table().exempt(latest_at);
            }
            state.start.get_or_insert(start).clone()
        })
        .await
    }

    async fn begin(&self, shard: &ShardId, parent: Option<&ShardId>) -> Result<(), StateError> {
        let (shard, parent) = (shard.clone(), parent.cloned());
        self.call("PutItem", move |world, name| {
            world.trace.note(format_args!("{name} begins {shard}"));
            let updated = world.time.seconds();
            let item = ShardItem { parent, finished: false, position: None, owner: None, updated };
            world.state().shards.entry(shard).or_insert(item);
        })
        .await
    }

    async fn checkpoint(&self, shard: &ShardId, position: &SequenceNumber) -> Result<Checkpointed, StateError> {
        let (shard, position) = (shard.clone(), position.clone());
        self.call("UpdateItem", move |world, name| {
            world.trace.note(format_args!("{name} checkpoints {shard} at {position}"));
            world.check_acknowledged(name, shard.as_str(), position.as_str().parse().ok());
            let mut state = world.state();
            let Some(item) = state.shards.get_mut(&shard) else { return Checkpointed::Overtaken };
            if item.position.as_ref().is_some_and(|stored| *stored > position) {
                return Checkpointed::Overtaken;
            }
            item.position = Some(position);
            item.updated = world.time.seconds();
            Checkpointed::Stored
        })
        .await
    }

    async fn finish(&self, shard: &ShardId) -> Result<(), StateError> {
        let shard = shard.clone();
        self.call("UpdateItem", move |world, name| {
            world.trace.note(format_args!("{name} finishes {shard}"));
            world.check_acknowledged(name, shard.as_str(), None);
            if let Some(item) = world.state().shards.get_mut(&shard) {
                item.finished = true;
            }
        })
        .await
    }

    async fn gap(&self, gap: &Gap) -> Result<(), StateError> {
        let gap = gap.clone();
        self.call("PutItem", move |world, name| {
            world.trace.note(format_args!("{name} records a gap: {} {}", gap.kind.name(), gap.subject));
            let mut state = world.state();
            if !state.gaps.iter().any(|known| known.kind == gap.kind && known.subject == gap.subject) {
                state.gaps.push(gap);
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

fn this_machine() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
