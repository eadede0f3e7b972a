//! A world in memory, with a crash at any call of the process that looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use streamdex_delivery::DeliveryProgress;
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, FilledBy, Stored};
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord, RebuildStore, Rebuilt};
use streamdex_dynamodb::state::StateError;
use streamdex_mapping::IndexName;
use streamdex_reconcile::rebuild::{Conditions, Generations, NextGroup, Rebuild};
use streamdex_reconcile::verify::Lag;
use streamdex_sink::Patience;
use streamdex_sink::index::generations::{Made, Shown};
use streamdex_sink::index::{KnownIndex, SetupError};
use tokio::sync::Notify;

pub(super) const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
#[derive(Clone, Default)]
pub(super) struct World(pub(super) Arc<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) state: Mutex<State>,
    pub(super) crashed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) made: BTreeMap<String, Made>,
    pub(super) rebuild: Option<RebuildRecord>,
    pub(super) backfill: Option<BackfillRecord>,
    pub(super) gaps: usize,
    pub(super) lag: Option<Duration>,
    /// The next generation was compared with the table since it was filled, and is equal.
    pub(super) is_proven: bool,
    pub(super) reader: Option<String>,
    /// The state of the next group is deleted.
    pub(super) is_forgotten: bool,
    pub(super) deleted: Vec<String>,
    pub(super) calls: usize,
    pub(super) crash: Option<Crash>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    pub(super) at: usize,
    /// The call is carried out, and nobody hears of it.
    pub(super) after: bool,
}

pub(super) fn index(text: &str, name: &str, generation: u32, group: &str) -> Made {
    Made {
        text: text.into(),
        index: IndexName::parse(name).unwrap(),
        concrete: format!("{name}-{generation:06}"),
        uuid: Some("A".into()),
        generation,
        groups: vec![format!("{group}|{ARN}")],
        aliases: Map::new(),
    }
}

fn shown(generation: u32, live: bool) -> Shown {
    let mut aliases = BTreeMap::from([(String::new(), json!({}))]);
    aliases.extend(live.then(|| ("-live".to_owned(), json!({"filter": {"until": generation}}))));
    Shown { generation, aliases, names: BTreeMap::new() }
}

impl World {
    /// `s` and two names of `o-{r}`: of the one, the next generation is not there, since no item gives it any more.
    pub(super) fn new() -> World {
        let world = World::default();
        let mut state = world.state();
        for made in [
            index("s", "s", 1, "default"),
            index("s", "s", 2, "v2"),
            index("s", "s", 3, "strangers"),
            index("o-{r}", "o-eu", 1, "default"),
            index("o-{r}", "o-eu", 2, "v2"),
            index("o-{r}", "o-us", 1, "default"),
        ] {
            state.made.insert(made.concrete.clone(), made);
        }
        for (concrete, alias) in [("s-000001", "s"), ("o-eu-000001", "o-eu"), ("o-us-000001", "o-us")] {
            state.made.get_mut(concrete).unwrap().aliases.insert(alias.into(), json!({}));
        }
        let live = json!({"filter": {"until": 1}});
        state.made.get_mut("s-000001").unwrap().aliases.insert("s-live".into(), live);
        let indices = BTreeMap::from([
            ("s".to_owned(), Rebuilt { from: shown(1, true), to: shown(2, true) }),
            ("o-{r}".to_owned(), Rebuilt { from: shown(1, false), to: shown(2, false) }),
        ]);
        let phase = RebuildPhase::Filling;
        let (from, to) = ("default".to_owned(), "v2".to_owned());
        state.rebuild = Some(RebuildRecord { phase, beat: 1, began: 1, at: 1, from, to, indices });
        state.lag = Some(Duration::from_secs(1));
        drop(state);
        world
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// One call of the process that looks; where it crashes, the call never returns.
    async fn call<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let done = {
            let mut state = self.state();
            state.calls += 1;
            let crash = state.crash.filter(|crash| crash.at == state.calls);
            let done = crash.is_none_or(|crash| crash.after).then(|| work(&mut state));
            if crash.is_none() { done } else { None }
        };
        match done {
            Some(done) => done,
            None => {
                self.0.crashed.notify_one();
                std::future::pending().await
            }
        }
    }

    pub(super) fn rebuild(&self) -> Rebuild {
        let world = Arc::new(self.clone());
        Rebuild {
            group: "v2".into(),
            store: world.clone(),
            backfill: world.clone(),
            generations: world.clone(),
            letters: world.clone(),
            table: "sessions".into(),
            lag: world,
            conditions: Conditions { max_lag: Duration::from_secs(60), accept_dead_letters: false },
            patience: Patience::one_shot(),
            progress: DeliveryProgress::under_way(),
            now: Arc::new(|| 7),
        }
    }

    /// What whoever follows the stream does meanwhile.
    pub(super) fn follower_works(&self) {
        let mut state = self.state();
        match state.backfill.clone() {
            None => state.backfill = Some(BackfillRecord::new(FilledBy::Run, 1, 9, 5)),
            Some(record) if record.state == BackfillState::Running => {
                state.is_proven = record.after_gap;
                state.backfill = Some(record.completed((9, 0), 6));
            }
            Some(_) => {}
        }
    }

    /// Which generation searches of each alias see.
    pub(super) fn readers(&self) -> BTreeMap<String, Vec<u32>> {
        let mut readers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for made in self.state().made.values() {
            for alias in made.aliases.keys() {
                readers.entry(alias.clone()).or_default().push(made.generation);
            }
        }
        readers
    }

    pub(super) fn phase(&self) -> Option<RebuildPhase> {
        self.state().rebuild.as_ref().map(|record| record.phase)
    }
}

/// Every reader of every alias sees this generation, and nothing else.
pub(super) fn all_see(generation: u32) -> BTreeMap<String, Vec<u32>> {
    ["o-eu", "o-us", "s", "s-live"].into_iter().map(|alias| (alias.to_owned(), vec![generation])).collect()
}

#[async_trait]
impl Generations for World {
    async fn made(&self) -> Result<Vec<Made>, SetupError> {
        Ok(self.call(|state| state.made.values().cloned().collect()).await)
    }

    async fn make(&self, name: &IndexName) -> Result<(), SetupError> {
        self.call(|state| {
            let made = index("o-{r}", name.as_str(), 2, "v2");
            state.made.entry(made.concrete.clone()).or_insert(made);
        })
        .await;
        Ok(())
    }

    async fn move_aliases(&self, actions: &[Value]) -> Result<(), SetupError> {
        self.call(|state| {
            for action in actions {
                let (what, body) = action.as_object().unwrap().iter().next().unwrap();
                let mut body = body.as_object().unwrap().clone();
                let of =
                    |body: &mut Map<String, Value>, name: &str| body.remove(name).unwrap().as_str().unwrap().to_owned();
                let (concrete, alias) = (of(&mut body, "index"), of(&mut body, "alias"));
                let made = state.made.get_mut(&concrete).unwrap();
                match what.as_str() {
                    "remove" => assert!(made.aliases.remove(&alias).is_some(), "{action}"),
                    _ => drop(made.aliases.insert(alias, body.into())),
                }
                let shows_next = made.generation == 2 && what == "add";
                assert!(!shows_next || state.is_proven, "readers must not see what was not compared: {action}");
            }
        })
        .await;
        Ok(())
    }

    async fn delete(&self, made: &Made) -> Result<(), SetupError> {
        self.call(|state| {
            assert!(state.reader.is_none(), "nobody writes any more");
            let found = state.made.remove(&made.concrete);
            assert!(found.is_none_or(|found| found.aliases.is_empty()), "searches see {made:?}");
            state.deleted.push(made.concrete.clone());
        })
        .await;
        Ok(())
    }
}

#[async_trait]
impl RebuildStore for World {
    async fn load(&self) -> Result<Option<RebuildRecord>, StateError> {
        Ok(self.call(|state| state.rebuild.clone()).await)
    }

    async fn store(&self, record: &RebuildRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        Ok(self
            .call(|state| {
                if state.rebuild.as_ref().map(|found| found.beat) != follows {
                    return Stored::Refused;
                }
                state.rebuild = Some(record.clone());
                Stored::Stored
            })
            .await)
    }

    async fn remove(&self, beat: u64) -> Result<Stored, StateError> {
        Ok(self
            .call(|state| {
                if state.rebuild.as_ref().is_some_and(|found| found.beat != beat) {
                    return Stored::Refused;
                }
                state.rebuild = None;
                Stored::Stored
            })
            .await)
    }
}

#[async_trait]
impl BackfillStore for World {
    async fn load(&self) -> Result<Option<BackfillRecord>, StateError> {
        Ok(self.call(|state| state.backfill.clone()).await)
    }

    async fn store(&self, record: &BackfillRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        Ok(self
            .call(|state| {
                if state.backfill.as_ref().map(|found| found.beat) != follows {
                    return Stored::Refused;
                }
                state.backfill = Some(record.clone());
                Stored::Stored
            })
            .await)
    }

    async fn note(&self, _index: &KnownIndex) -> Result<(), StateError> {
        Ok(())
    }

    async fn replace(&self, record: &BackfillRecord) -> Result<(), StateError> {
        self.call(|state| state.backfill = Some(record.clone())).await;
        Ok(())
    }

    async fn gaps(&self) -> Result<usize, StateError> {
        Ok(self.call(|state| state.gaps).await)
    }
}

#[async_trait]
impl Lag for World {
    async fn lag(&self) -> Option<Duration> {
        self.call(|state| state.lag).await
    }
}

#[async_trait]
impl DeadLetterStore for World {
    async fn put(&self, _letters: &[DeadLetter]) -> Result<(), LetterError> {
        Ok(())
    }

    async fn list(&self, _after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        Ok(self.call(|_| LetterPage::default()).await)
    }

    async fn remove(&self, _letter: &DeadLetter) -> Result<bool, LetterError> {
        Ok(true)
    }

    async fn get(&self, _key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        Ok(None)
    }
}

#[async_trait]
impl NextGroup for World {
    async fn take(&self) -> Result<Option<String>, StateError> {
        Ok(self.call(|state| state.reader.clone()).await)
    }

    async fn forget(&self, left: &[String]) -> Result<Option<String>, StateError> {
        let left = left.to_vec();
        Ok(self
            .call(|state| {
                let next = state.made.values().any(|made| made.groups == [format!("v2|{ARN}")]);
                assert!(!next, "an index whose group is forgotten is nobody's");
                assert!(left.iter().eq(state.made.keys()), "{left:?}");
                state.is_forgotten = state.reader.is_none();
                state.reader.clone()
            })
            .await)
    }
}
