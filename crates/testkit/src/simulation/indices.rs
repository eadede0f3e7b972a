//! Index set-up and watch over the simulated OpenSearch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::TableArn;
use streamdex_delivery::indices::{IndexSetup, IndexWatch};
use streamdex_mapping::IndexName;
use streamdex_sink::index::{GroupState, KnownIndex};
use streamdex_sink::{ClientError, SetupError, Target, Targets, VanishedIndex};

use super::gate::Gate;
use super::lock::lock;
use super::weather::{Endpoint, Refusal};
use super::world::World;

/// The indices of one worker.
pub(super) struct SimulatedIndices {
    gate: Arc<Gate>,
    world: Arc<World>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, KnownIndex>,
    targets: BTreeMap<IndexName, Arc<Target>>,
}

const DEADLINE: Duration = Duration::from_secs(30);

impl SimulatedIndices {
    pub(super) fn new(gate: Arc<Gate>, world: Arc<World>) -> SimulatedIndices {
        SimulatedIndices { gate, world, state: Mutex::default() }
    }

    pub(super) async fn call<T: Send + 'static>(
        &self,
        action: &'static str,
        serve: impl FnOnce(&World) -> T + Send + 'static,
    ) -> Result<T, SetupError> {
        let world = Arc::clone(&self.world);
        let answer = self.gate.call(Endpoint::Search, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => Err(refused(action, 429)),
            Some(Refusal::Failed) => Err(refused(action, 503)),
            _ => Ok(serve(&world)),
        });
        answer.await.unwrap_or_else(|_| {
            let endpoint = "opensearch:9200".to_owned();
            Err(SetupError::Client(ClientError::TimedOut { endpoint, after: DEADLINE }))
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn refused(action: &str, status: u16) -> SetupError {
    SetupError::Refused { action: action.to_owned(), status, kind: String::new(), reason: "busy".to_owned() }
}

fn compare(known: &KnownIndex, found: Option<&String>) -> Option<VanishedIndex> {
    (found != Some(&known.uuid)).then(|| VanishedIndex {
        index: known.index.clone(),
        concrete: known.concrete.clone(),
        expected_uuid: known.uuid.clone(),
        found_uuid: found.cloned(),
    })
}

#[async_trait]
impl IndexWatch for SimulatedIndices {
    fn restore(&self, _table: &TableArn, known: Vec<KnownIndex>, _group: GroupState) {
        let mut state = self.state();
        state.known = known.into_iter().map(|known| (known.index.clone(), known)).collect();
        let known: BTreeSet<String> = state.known.values().map(|known| known.concrete.clone()).collect();
        state.targets.retain(|_, target| known.contains(&target.concrete));
    }

    fn known(&self) -> Vec<KnownIndex> {
        self.state().known.values().cloned().collect()
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        let known = self.known();
        self.call("check the indices", move |world| {
            let search = world.search();
            known.iter().filter_map(|known| compare(known, search.indices.get(&known.concrete))).collect()
        })
        .await
    }
}

#[async_trait]
impl IndexSetup for SimulatedIndices {
    async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        let concrete = format!("{index}-000001");
        let known = self.state().known.get(index.as_str()).cloned();
        let made = self.call("create an index", {
            let concrete = concrete.clone();
            move |world| {
                let mut search = world.search();
                match known.and_then(|known| compare(&known, search.indices.get(&concrete))) {
                    Some(vanished) => Err(SetupError::Vanished(vanished)),
                    None => Ok(search.create(&concrete)),
                }
            }
        });
        let uuid = made.await??;
        let target = Arc::new(Target { concrete: concrete.clone(), uuid: Some(uuid.clone()), generation: 1 });
        let known = KnownIndex { index: index.as_str().to_owned(), concrete, uuid, generation: 1 };
        let mut state = self.state();
        state.known.insert(index.as_str().to_owned(), known);
        state.targets.insert(index.clone(), Arc::clone(&target));
        Ok(target)
    }

    async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
        let concrete = format!("{index}-000001");
        let is_known = self.state().known.contains_key(index.as_str());
        let look = self.call("look for an index", move |world| world.search().indices.contains_key(&concrete));
        if look.await? || is_known { self.ensure(index).await.map(Some) } else { Ok(None) }
    }

    fn target(&self, index: &IndexName) -> Option<Arc<Target>> {
        self.state().targets.get(index).cloned()
    }
}

impl Targets for SimulatedIndices {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        self.state().targets.get(index).map(|target| target.concrete.as_str().into())
    }
}
