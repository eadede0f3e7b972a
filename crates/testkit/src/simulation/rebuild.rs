//! A rebuild beside the workers: the real state machine of `reconcile`, in a process that crashes, starts again and goes on.
//! The workers' index is the next generation; searches see an earlier one, which is not simulated, until the aliases move.
//!
//! What is checked at the moment at which searches move: each document of theirs is what the table holds, but for changes of
//! the last minutes and of what is on its way. In the end searches have moved, all aliases together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use streamdex_delivery::backfill::Stored;
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord, RebuildStore, Rebuilt};
use streamdex_delivery::{DeliveryProgress, Term};
use streamdex_dynamodb::state::{SortKey, StateError};
use streamdex_mapping::IndexName;
use streamdex_poller::state::StateStore;
use streamdex_reconcile::Fault;
use streamdex_reconcile::rebuild::{Conditions, Generations, Looked, Rebuild, Waiting};
use streamdex_sink::Patience;
use streamdex_sink::index::SetupError;
use streamdex_sink::index::generations::{Made, Shown};
use tokio_util::sync::CancellationToken;

use super::audit::true_lag;
use super::checks;
use super::dice::Dice;
use super::fill::{SimulatedBackfill, fill_in_the_end};
use super::gate::Gate;
use super::indices::SimulatedIndices;
use super::letters::SimulatedLetters;
use super::readers::EARLIER;
use super::state::SimulatedState;
use super::time::SECOND;
use super::world::{AUDIT, World};

const NEXT: u32 = 1;
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Searches move within this many rounds, when nothing stands in the way.
const IN_THE_END: u32 = 60;

/// One process.
struct Process {
    world: Arc<World>,
    gate: Arc<Gate>,
    rebuild: Rebuild,
    cancel: CancellationToken,
}

struct SimulatedRebuild(SimulatedState);

struct SimulatedGenerations {
    name: String,
    indices: SimulatedIndices,
}

/// Looks until `stop`.
pub(super) async fn rebuild_until(world: Arc<World>, stop: CancellationToken) {
    let mut dice = Dice::new(world.plan.seed, "rebuild");
    for number in 1.. {
        let pause = dice.millis(SECOND..=20 * SECOND);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let process = Process::new(&world, number);
        if dice.chance(80) {
            process.gate.crash_after(dice.within(0..=60));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = process.gate.died() => world.reached.note("rebuild: a crash"),
            () = process.go_on() => {}
        }
        process.cancel.cancel();
    }
}

/// When faults have ended, searches move.
pub(super) async fn rebuild_in_the_end(world: &Arc<World>) {
    let process = Process::new(world, 1_000);
    for _ in 0..IN_THE_END {
        let looked = process.look().await;
        world.trace.note(format_args!("{}: {}", process.gate.name, said(&looked)));
        match looked {
            Ok(Looked::Settled(record)) if record.phase == RebuildPhase::Moved => {
                let readers = world.readers();
                if readers.values().any(|generation| *generation != NEXT) {
                    world.trace.violation(format_args!("searches have moved, and see {readers:?}"));
                }
                return;
            }
            Ok(Looked::Comparing | Looked::Waiting(_)) => fill_in_the_end(world).await,
            _ => {}
        }
        // Nobody can compare an index that is gone, or what is in no stream.
        let is_excused =
            !world.search().lost.is_empty() || world.state().gaps().next().is_some() || world.is_resigned();
        if is_excused {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    world.trace.violation(format_args!("searches do not move in all that time"));
}

// === impl Process ===

impl Process {
    fn new(world: &Arc<World>, number: u64) -> Process {
        let gate = Gate::new(format!("{AUDIT}-rebuild{number}"), Arc::clone(world));
        let state = || SimulatedState::new(&gate, world);
        let clock = Arc::clone(world);
        let rebuild = Rebuild {
            group: "default".to_owned(),
            store: Arc::new(SimulatedRebuild(state())),
            backfill: Arc::new(SimulatedBackfill(state())),
            generations: Arc::new(SimulatedGenerations {
                name: gate.name.clone(),
                indices: SimulatedIndices::new(Arc::clone(&gate), Arc::clone(world)),
            }),
            letters: Arc::new(SimulatedLetters { gate: Arc::clone(&gate), world: Arc::clone(world) }),
            table: "sessions".to_owned(),
            lag: Arc::new(true_lag(world)),
            conditions: Conditions { max_lag: Duration::from_secs(60), accept_dead_letters: true },
            patience: Patience::Endless,
            progress: DeliveryProgress::under_way(),
            now: Arc::new(move || clock.time.seconds()),
        };
        Process { world: Arc::clone(world), gate, rebuild, cancel: CancellationToken::new() }
    }

    async fn go_on(&self) {
        loop {
            let looked = self.look().await;
            self.world.trace.note(format_args!("{}: {}", self.gate.name, said(&looked)));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A look; where there is no record yet, the rebuild begins.
    async fn look(&self) -> Result<Looked, Fault> {
        if self.rebuild.store.load().await?.is_none() {
            self.rebuild.store.store(&begin(&self.world), None).await?;
        }
        let looked = self.rebuild.look(Term { cancel: &self.cancel, until: None }).await;
        if let Ok(Looked::Entered(record)) = &looked {
            self.world.reached.note(match record.phase {
                RebuildPhase::Equal => "rebuild: equal",
                RebuildPhase::Moving => "rebuild: moving",
                RebuildPhase::Moved => "rebuild: moved",
                _ => "rebuild: compared once more",
            });
        }
        looked
    }
}

/// In a word: records hold times of a clock outside of the simulation.
fn said(looked: &Result<Looked, Fault>) -> String {
    match looked {
        Ok(Looked::Entered(record)) => format!("enters {}", record.phase.name()),
        Ok(Looked::Comparing) => "asks for a comparison".to_owned(),
        Ok(Looked::Waiting(Waiting::Filled(record))) => format!("waits, {} segments are done", record.done()),
        Ok(Looked::Waiting(waiting)) => format!("waits: {waiting:?}"),
        Ok(Looked::Settled(record)) => format!("{} and quiet", record.phase.name()),
        Ok(Looked::Healed(record)) => format!("{} and healed", record.phase.name()),
        Ok(Looked::Gone) => "there is no rebuild".to_owned(),
        Err(fault) => format!("fails: {fault}"),
    }
}

fn names(world: &World) -> Vec<&'static str> {
    if world.plan.two_indices { vec!["sessions", "others"] } else { vec!["sessions"] }
}

fn begin(world: &World) -> RebuildRecord {
    let shown = |generation| Shown {
        generation,
        aliases: [String::new(), "-live".to_owned()].into_iter().map(|suffix| (suffix, json!({}))).collect(),
        names: BTreeMap::new(),
    };
    let rebuilt = || Rebuilt { from: shown(EARLIER), to: shown(NEXT) };
    RebuildRecord {
        phase: RebuildPhase::Filling,
        beat: 1,
        began: 0,
        at: 0,
        from: "earlier".to_owned(),
        to: "default".to_owned(),
        indices: names(world).into_iter().map(|name| (name.to_owned(), rebuilt())).collect(),
    }
}

/// The indices of both generations.
fn made(world: &World) -> Vec<Made> {
    let (search, readers) = (world.search(), world.readers());
    let mut all = Vec::new();
    for name in names(world) {
        for generation in [NEXT, EARLIER] {
            let concrete = format!("{name}-{generation:06}");
            let uuid = search.indices.get(&concrete).cloned();
            if generation == NEXT && uuid.is_none() {
                continue;
            }
            let mut aliases = Map::new();
            for alias in [name.to_owned(), format!("{name}-live")] {
                if readers.get(&alias) == Some(&generation) {
                    aliases.insert(alias, json!({}));
                }
            }
            let (text, index) = (name.to_owned(), IndexName::parse(name).unwrap());
            all.push(Made { text, index, concrete, uuid, generation, groups: Vec::new(), aliases });
        }
    }
    all
}

#[async_trait]
impl Generations for SimulatedGenerations {
    async fn made(&self) -> Result<Vec<Made>, SetupError> {
        self.indices.call("list the indices", made).await
    }

    async fn make(&self, index: &IndexName) -> Result<(), SetupError> {
        let concrete = format!("{index}-{NEXT:06}");
        self.indices.call("create an index", move |world| drop(world.search().create(&concrete))).await
    }

    async fn move_aliases(&self, actions: &[Value]) -> Result<(), SetupError> {
        let actions = actions.to_vec();
        let name = self.name.clone();
        self.indices
            .call("move the aliases", move |world| {
                world.trace.note(format_args!("{name} moves {actions:?}"));
                let mut readers = world.readers();
                for add in actions.iter().filter_map(|action| action.get("add")) {
                    let text = |member: &str| add.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
                    let is_next = text("index").ends_with(&format!("-{NEXT:06}"));
                    readers.insert(text("alias"), if is_next { NEXT } else { EARLIER });
                }
                let generations: BTreeSet<u32> = readers.values().copied().collect();
                world.set_readers(readers);
                if generations.len() != 1 {
                    world.trace.violation(format_args!("{name} moves some searches, and not all"));
                }
                checks::check_moved(world);
            })
            .await
    }

    async fn delete(&self, _made: &Made) -> Result<(), SetupError> {
        Ok(())
    }
}

// === impl SimulatedRebuild ===

#[async_trait]
impl RebuildStore for SimulatedRebuild {
    async fn load(&self) -> Result<Option<RebuildRecord>, StateError> {
        Ok(self.0.get(&SortKey::Rebuild.text()).await?.as_ref().and_then(RebuildRecord::read))
    }

    async fn store(&self, record: &RebuildRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        let written = self.0.write(&[record.put(follows)]).await?;
        Ok(Stored::of(&written.answer, |found| RebuildRecord::read(found).as_ref() == Some(record)))
    }

    async fn remove(&self, _beat: u64) -> Result<Stored, StateError> {
        Ok(Stored::Refused)
    }
}
