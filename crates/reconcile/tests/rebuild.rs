//! A rebuild over two groups, indices and aliases in memory, with a crash at each call: before it is carried out, and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, FilledBy, Stored};
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord, RebuildStore, Rebuilt};
use streamdex_delivery::{DeliveryProgress, Term};
use streamdex_dynamodb::state::StateError;
use streamdex_mapping::IndexName;
use streamdex_reconcile::Fault;
use streamdex_reconcile::rebuild::{Abort, Conditions, Generations, Looked, NextGroup, Rebuild, Waiting};
use streamdex_reconcile::verify::Lag;
use streamdex_sink::Patience;
use streamdex_sink::index::generations::{Made, Shown};
use streamdex_sink::index::{KnownIndex, SetupError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
/// More than a rebuild has.
const MOST_CALLS: usize = 400;

#[derive(Clone, Default)]
struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    crashed: Notify,
}

#[derive(Default)]
struct State {
    made: BTreeMap<String, Made>,
    rebuild: Option<RebuildRecord>,
    backfill: Option<BackfillRecord>,
    gaps: usize,
    lag: Option<Duration>,
    /// The next generation was compared with the table since it was filled, and is equal.
    is_proven: bool,
    reader: Option<String>,
    /// The state of the next group is deleted.
    is_forgotten: bool,
    deleted: Vec<String>,
    calls: usize,
    crash: Option<Crash>,
}

#[derive(Debug, Clone, Copy)]
struct Crash {
    at: usize,
    /// The call is carried out, and nobody hears of it.
    after: bool,
}

fn index(text: &str, name: &str, generation: u32, group: &str) -> Made {
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
    fn new() -> World {
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

    fn state(&self) -> MutexGuard<'_, State> {
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

    fn rebuild(&self) -> Rebuild {
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
    fn follower_works(&self) {
        let mut state = self.state();
        match state.backfill.clone() {
            None => state.backfill = Some(BackfillRecord::new(FilledBy::Run, 1, 9, 5)),
            Some(record) if record.state == BackfillState::Running => {
                state.is_proven = record.after_gap;
                state.backfill = Some(record.completed(9, 6));
            }
            Some(_) => {}
        }
    }

    /// Which generation readers of each alias see.
    fn readers(&self) -> BTreeMap<String, Vec<u32>> {
        let mut readers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for made in self.state().made.values() {
            for alias in made.aliases.keys() {
                readers.entry(alias.clone()).or_default().push(made.generation);
            }
        }
        readers
    }

    fn phase(&self) -> Option<RebuildPhase> {
        self.state().rebuild.as_ref().map(|record| record.phase)
    }
}

/// Every reader of every alias sees this generation, and nothing else.
fn all_see(generation: u32) -> BTreeMap<String, Vec<u32>> {
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
            assert!(found.is_none_or(|found| found.aliases.is_empty()), "readers see {made:?}");
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

/// Looks as a process does, until `is_over`; where it crashes, another one goes on.
async fn goes_on(world: &World, mut is_over: impl FnMut(&World, &Result<Looked, Fault>) -> bool) {
    let cancel = CancellationToken::new();
    for _ in 0..100 {
        let rebuild = world.rebuild();
        let looked = tokio::select! {
            looked = rebuild.look(Term { cancel: &cancel, until: None }) => looked,
            () = world.0.crashed.notified() => continue,
        };
        if is_over(world, &looked) {
            return;
        }
        world.follower_works();
    }
    panic!("it does not end: {:?}", world.phase());
}

/// Does what a command does, until it has; where it crashes, the user runs it again.
async fn again<T>(world: &World, command: impl AsyncFn(&World) -> Option<T>) -> T {
    for _ in 0..20 {
        tokio::select! {
            done = command(world) => if let Some(done) = done { return done },
            () = world.0.crashed.notified() => {}
        }
    }
    panic!("it does not end: {:?}", world.phase());
}

async fn move_readers(world: &World) {
    goes_on(world, |_, looked| matches!(looked, Ok(Looked::Settled(record)) if record.phase == RebuildPhase::Moved))
        .await;
}

async fn roll_back(world: &World) -> Option<()> {
    let cancel = CancellationToken::new();
    let term = Term { cancel: &cancel, until: None };
    let record = world.state().rebuild.clone()?;
    match record.phase {
        RebuildPhase::Returned => return Some(()),
        RebuildPhase::Returning => drop(world.rebuild().look(term).await.unwrap()),
        _ => drop(world.rebuild().go_back(&record, term).await.unwrap()),
    }
    None
}

async fn abort(world: &World) -> Option<()> {
    let cancel = CancellationToken::new();
    let Some(record) = world.state().rebuild.clone() else { return Some(()) };
    let aborted = world.rebuild().abort(record, world, Term { cancel: &cancel, until: None }).await.unwrap();
    assert_eq!(aborted, Abort::Done);
    None
}

/// How many calls `work` makes where nothing crashes, then `work` with a crash at each of them.
async fn with_a_crash_at_each_call(prepare: impl AsyncFn() -> World, work: impl AsyncFn(World)) {
    let world = prepare().await;
    let before = world.state().calls;
    work(world.clone()).await;
    let calls = world.state().calls - before;
    assert!((2..MOST_CALLS).contains(&calls), "{calls} calls");
    for at in 1..=calls {
        for after in [false, true] {
            let world = prepare().await;
            {
                let mut state = world.state();
                state.crash = Some(Crash { at: state.calls + at, after });
            }
            work(world).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn n1_readers_move_all_at_once_whatever_call_crashes() {
    with_a_crash_at_each_call(
        async || World::new(),
        async |world| {
            move_readers(&world).await;
            assert_eq!(world.readers(), all_see(2));
            let live = world.state().made["s-000002"].aliases["s-live"].clone();
            assert_eq!(live, json!({"filter": {"until": 2}}));
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn readers_move_back_to_exactly_what_they_saw_whatever_call_crashes() {
    let moved = async || {
        let world = World::new();
        move_readers(&world).await;
        world
    };
    with_a_crash_at_each_call(moved, async |world| {
        again(&world, roll_back).await;
        assert_eq!((world.phase(), world.readers()), (Some(RebuildPhase::Returned), all_see(1)));
        assert_eq!(world.state().made["s-000001"].aliases["s-live"], json!({"filter": {"until": 1}}));
        // Nobody moves them again unasked.
        let rests = |_: &World, looked: &Result<Looked, Fault>| matches!(looked, Ok(Looked::Settled(_)));
        goes_on(&world, rests).await;
        assert_eq!(world.readers(), all_see(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_abort_deletes_what_the_rebuild_made_and_nothing_else_whatever_call_crashes() {
    for phase in [RebuildPhase::Filling, RebuildPhase::Equal, RebuildPhase::Returned, RebuildPhase::Aborting] {
        let reached = async || {
            let world = World::new();
            world.follower_works();
            let record = world.state().rebuild.clone().unwrap();
            world.state().rebuild = Some(record.in_phase(phase, 8));
            // Somebody has put a reader's alias on the next generation.
            world.state().made.get_mut("s-000002").unwrap().aliases.insert("s-live".into(), json!({}));
            world
        };
        with_a_crash_at_each_call(reached, async |world| {
            again(&world, abort).await;
            let left: Vec<String> = world.state().made.keys().cloned().collect();
            assert_eq!(left, ["o-eu-000001", "o-us-000001", "s-000001", "s-000003"]);
            assert_eq!(world.readers(), all_see(1));
            let state = world.state();
            assert!(state.is_forgotten);
            let deleted: BTreeSet<&str> = state.deleted.iter().map(String::as_str).collect();
            assert_eq!(deleted, BTreeSet::from(["o-eu-000002", "s-000002"]));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_index_that_another_group_has_written_to_is_not_deleted() {
    let world = World::new();
    for (concrete, group) in [("s-000002", format!("other|{ARN}")), ("o-eu-000002", "v2|another table".into())] {
        world.state().made.get_mut(concrete).unwrap().groups.push(group);
    }
    world.state().made.get_mut("s-000002").unwrap().groups.push("v2|x".into());
    again(&world, abort).await;
    assert!(world.state().made.contains_key("s-000002"), "another group is in it");
    assert!(!world.state().made.contains_key("o-eu-000002"));
}

#[tokio::test(start_paused = true)]
async fn an_abort_waits_for_the_reader_and_is_refused_where_readers_may_have_moved() {
    let cancel = CancellationToken::new();
    let term = Term { cancel: &cancel, until: None };
    let world = World::new();
    world.state().reader = Some("host-1".into());
    let record = world.state().rebuild.clone().unwrap();
    let aborted = world.rebuild().abort(record, &world, term).await.unwrap();
    assert_eq!(aborted, Abort::ReadBy("host-1".into()));
    assert_eq!((world.phase(), world.state().deleted.len()), (Some(RebuildPhase::Aborting), 0));
    assert_eq!(world.rebuild().look(term).await.unwrap(), Looked::Gone, "the process that runs ends by that");
    world.state().reader = None;
    again(&world, abort).await;

    let world = World::new();
    move_readers(&world).await;
    let record = world.state().rebuild.clone().unwrap();
    let aborted = world.rebuild().abort(record, &world, term).await.unwrap();
    assert_eq!(aborted, Abort::Shown(RebuildPhase::Moved));
    assert_eq!(world.readers(), all_see(2));
}

#[tokio::test(start_paused = true)]
async fn readers_wait_for_gaps_and_lag_and_what_is_lost_is_compared_once_more() {
    let world = World::new();
    world.state().lag = None;
    let is = |expected: Waiting| move |_: &World, looked: &Result<Looked, Fault>| matches!(looked, Ok(Looked::Waiting(found)) if *found == expected);
    goes_on(&world, is(Waiting::Lag(None))).await;
    world.state().gaps = 1;
    goes_on(&world, is(Waiting::Gaps(1))).await;
    // The gap is closed, so that all is to be compared.
    {
        let mut state = world.state();
        (state.gaps, state.is_proven) = (0, false);
        state.lag = Some(Duration::ZERO);
        state.backfill = Some(BackfillRecord::after_gap(FilledBy::Command, 50));
    }
    let cancel = CancellationToken::new();
    let look = async || world.rebuild().look(Term { cancel: &cancel, until: None }).await.unwrap();
    assert!(matches!(look().await, Looked::Entered(record) if record.phase == RebuildPhase::Filling));
    assert_eq!(look().await, Looked::Waiting(Waiting::Person));
    assert_eq!(world.readers(), all_see(1));
    world.follower_works();
    move_readers(&world).await;
    assert_eq!(world.readers(), all_see(2));
}

#[tokio::test(start_paused = true)]
async fn an_older_request_that_arrives_late_is_put_right_by_the_next_look() {
    let world = World::new();
    move_readers(&world).await;
    {
        let mut state = world.state();
        let moved = state.made.get_mut("s-000002").unwrap().aliases.remove("s").unwrap();
        state.made.get_mut("s-000001").unwrap().aliases.insert("s".into(), moved);
        // And a name that is new is made with its alias by the earlier group, which asked before readers moved.
        let mut late = index("o-{r}", "o-cn", 1, "default");
        late.aliases.insert("o-cn".into(), json!({}));
        state.made.insert(late.concrete.clone(), late);
    }
    goes_on(&world, |_, looked| matches!(looked, Ok(Looked::Healed(_)))).await;
    let mut all = all_see(2);
    all.insert("o-cn".into(), vec![2]);
    assert_eq!(world.readers(), all);
}

#[tokio::test(start_paused = true)]
async fn the_rebuild_of_another_group_is_not_this_ones_to_move_and_readers_keep_their_writer() {
    let world = World::new();
    move_readers(&world).await;
    let moved = world.state().rebuild.clone().unwrap();
    let cancel = CancellationToken::new();
    let term = Term { cancel: &cancel, until: None };
    let is_needed = async || {
        let looked = world.rebuild().look(term).await.unwrap();
        assert_eq!(looked, Looked::Gone);
        world.rebuild().is_needed(&moved, term).await.unwrap()
    };
    let replace = |from: &str, to: &str, phase| {
        let (from, to) = (from.to_owned(), to.to_owned());
        let beat = moved.beat + 1;
        world.state().rebuild = Some(RebuildRecord { from, to, phase, beat, ..moved.clone() });
    };
    // A third group begins, while the process that moved readers to the second one still runs.
    replace("v2", "v3", RebuildPhase::Filling);
    assert!(is_needed().await, "readers see what it writes");
    assert_eq!((world.phase(), world.readers()), (Some(RebuildPhase::Filling), all_see(2)));
    world.state().rebuild = None;
    assert!(is_needed().await, "the third one was aborted");
    for made in world.state().made.values_mut() {
        made.aliases.clear();
    }
    replace("v2", "v3", RebuildPhase::Moved);
    assert!(is_needed().await, "readers may go back");
    replace("v3", "v4", RebuildPhase::Filling);
    assert!(!is_needed().await);
    world.state().rebuild = Some(moved.in_phase(RebuildPhase::Aborting, 9));
    assert!(!is_needed().await);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_moving_readers_looks_once_more_whether_they_may_move() {
    let world = World::new();
    goes_on(&world, |world, _| world.phase() == Some(RebuildPhase::Moving)).await;
    // The process that was to move them is gone, and another one comes days later.
    world.state().lag = Some(Duration::from_secs(100_000));
    let cancel = CancellationToken::new();
    let look = async || world.rebuild().look(Term { cancel: &cancel, until: None }).await.unwrap();
    assert!(matches!(look().await, Looked::Entered(record) if record.phase == RebuildPhase::Equal));
    assert!(matches!(look().await, Looked::Waiting(Waiting::Lag(_))));
    assert_eq!(world.readers(), all_see(1));
    world.state().lag = Some(Duration::ZERO);
    move_readers(&world).await;
    assert_eq!(world.readers(), all_see(2));
}

#[tokio::test(start_paused = true)]
async fn before_readers_move_what_they_see_is_the_earlier_groups() {
    let world = World::new();
    // One name has a filter of its user's, and another one has no live alias yet.
    let filter = json!({"filter": {"tenant": 7}});
    world.state().made.get_mut("o-us-000001").unwrap().aliases.insert("o-us".into(), filter.clone());
    world.state().made.get_mut("s-000001").unwrap().aliases.remove("s-live");
    world.state().lag = None;
    goes_on(&world, |_, looked| matches!(looked, Ok(Looked::Waiting(Waiting::Lag(None))))).await;
    let state = world.state();
    assert_eq!(state.made["o-us-000001"].aliases["o-us"], filter);
    assert!(!state.made["s-000001"].aliases.contains_key("s-live"));
}
