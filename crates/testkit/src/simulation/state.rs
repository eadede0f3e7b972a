//! The state table: items in a map, and one worker's conditional writes to them.
//!
//! The conditions are the poller's own: the same writes are sent to DynamoDB, and a test of the poller compares what both
//! answer. Here they are carried out at the moment at which a request arrives.

pub(super) mod items;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::StartPosition;
use streamdex_dynamodb::state::{
    Action, Answer, Extent, Item, Operation, SortKey, StateError, Written, apply, number, text,
};
use streamdex_dynamodb::stream::ShardId;
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_poller::state::{StateStore, StreamStart};

use super::gate::Gate;
use super::weather::{Endpoint, Refusal};
use super::world::World;

/// The state table as one worker reaches it.
pub(super) struct SimulatedState {
    gate: Arc<Gate>,
    world: Arc<World>,
}

const DEADLINE: Duration = Duration::from_secs(10);
const PARTITION: &str = "follow|default|simulated";

// === impl SimulatedState ===

impl SimulatedState {
    pub(super) fn new(gate: &Arc<Gate>, world: &Arc<World>) -> SimulatedState {
        SimulatedState { gate: Arc::clone(gate), world: Arc::clone(world) }
    }

    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        serve: impl FnOnce(&World) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        let failed = |fault| StateError::Aws { table: "state".to_owned(), source: AwsError::new(fault, operation) };
        let world = Arc::clone(&self.world);
        let answer = self.gate.call(Endpoint::State, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => Err(Fault::Throttled),
            Some(_) => Err(Fault::Transient),
            None => {
                world.state().expire(world.time.seconds());
                Ok(serve(&world))
            }
        });
        answer.await.unwrap_or(Err(Fault::Transient)).map_err(failed)
    }
}

#[async_trait]
impl StateStore for SimulatedState {
    async fn query(&self, extent: Extent<'_>) -> Result<Vec<Item>, StateError> {
        let (after, prefix) = match extent {
            Extent::All => (None, None),
            Extent::After(key) => (Some(key.to_owned()), None),
            Extent::Prefix(key) => (None, Some(key.to_owned())),
        };
        self.call("Query", move |world| {
            let state = world.state();
            let behind = state.items.iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
            let wanted = behind.filter(|(key, _)| prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix)));
            wanted.map(|(_, item)| item.clone()).collect()
        })
        .await
    }

    async fn get(&self, sort_key: &str) -> Result<Option<Item>, StateError> {
        let key = sort_key.to_owned();
        self.call("GetItem", move |world| world.state().items.get(&key).cloned()).await
    }

    async fn write(&self, operations: &[Operation]) -> Result<Written, StateError> {
        let (operations, worker) = (operations.to_vec(), self.gate.name.clone());
        self.call("TransactWriteItems", move |world| {
            let answer = apply(&mut world.state().items, PARTITION, &operations);
            for operation in &operations {
                witness(world, &worker, operation, &answer);
            }
            Written { answer, date: Some(world.time.seconds()) }
        })
        .await
    }
}

/// Notes a write, and checks what must hold when it is stored.
fn witness(world: &World, worker: &str, operation: &Operation, answer: &Answer) {
    let key = SortKey::parse(&operation.sort_key);
    if !matches!(answer, Answer::Stored) {
        world.trace.note(format_args!("{worker} is refused: {}", operation.sort_key));
        return;
    }
    match (&key, &operation.action) {
        (SortKey::Lease, Action::Put(item) | Action::Update { set: item, .. }) if item.contains_key("term") => {
            world.trace.note(format_args!("{worker} takes the lease, term {:?}", number(item, "term")));
            let fruitless = number(item, "fruitless").unwrap_or(1).saturating_sub(1);
            world.liveness().lease.begin(worker, u32::try_from(fruitless).unwrap_or_default(), world);
        }
        (SortKey::Lease, Action::Update { remove, .. }) if remove.contains(&"owner") => {
            world.trace.note(format_args!("{worker} gives the lease back"));
            world.liveness().lease.end(world.time.millis());
        }
        (SortKey::Lease, Action::Update { .. }) => {
            let quiet = world.is_quiet() && !world.is_tampered();
            world.calls.beat(worker, world.time.millis(), quiet, &world.trace);
        }
        (SortKey::Shard { shard, .. }, Action::Put(_)) => {
            world.trace.note(format_args!("{worker} finds {shard}"));
            if world.state().is_done(shard) {
                world.trace.violation(format_args!("{worker} finds {shard}, which is done"));
            }
        }
        (SortKey::Shard { shard, .. }, Action::Update { set, .. }) => updated(world, worker, shard, set),
        (SortKey::Done { shard, .. }, Action::Put(_)) => {
            world.trace.note(format_args!("{worker} notes that {shard} is done"));
            world.check_acknowledged(worker, shard, None);
            world.state().ended.insert(shard.clone());
        }
        (SortKey::Gap { kind, subject, .. }, Action::Put(_)) => {
            world.trace.note(format_args!("{worker} records a gap: {kind} {subject}"));
        }
        (SortKey::Stream { label }, Action::Put(_)) => pinned(world, worker, label),
        _ => {}
    }
}

fn updated(world: &World, worker: &str, shard: &str, set: &Item) {
    let position = text(set, "position");
    if set.contains_key("run") {
        world.trace.note(format_args!("{worker} begins with {shard} after {position:?}"));
        let now = world.time.millis();
        let is_open = world.table().shard(shard).is_some_and(|shard| shard.closed.is_none_or(|closed| closed > now));
        world.calls.begun((worker, shard), is_open, &world.trace);
    } else if text(set, "state") == Some("drained") {
        world.trace.note(format_args!("{worker} notes that {shard} is drained"));
        world.check_acknowledged(worker, shard, None);
        world.liveness().drained(shard, world.time.millis());
    } else if let Some(position) = position {
        world.trace.note(format_args!("{worker} checkpoints {shard} at {position}"));
        world.check_acknowledged(worker, shard, Some(position.parse().unwrap_or_default()));
        world.calls.checkpoint(worker, shard, world.time.millis(), &world.trace);
    }
}

fn pinned(world: &World, worker: &str, label: &str) {
    let start: Option<StreamStart> = world.state().load(label).start;
    let Some(StreamStart { position, at, roots, .. }) = start else { return };
    world.trace.note(format_args!("{worker} pins {} roots", roots.len()));
    world.liveness().pinned(world.time.millis());
    let latest_at = (position == StartPosition::Latest).then_some(at);
    world.table().begin(label, &roots.iter().map(|root| ShardId::new(root.as_str())).collect::<Vec<_>>(), latest_at);
}
