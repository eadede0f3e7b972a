//! A rebuild over two groups, indices and aliases in memory, with a crash at each call: before it is carried out, and after.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use streamdex_delivery::Term;
use streamdex_delivery::backfill::{BackfillRecord, FilledBy};
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord};
use streamdex_reconcile::Fault;
use streamdex_reconcile::rebuild::{Abort, Looked, Waiting};
use tokio_util::sync::CancellationToken;

use self::world::{ARN, Crash, World, all_see, index};

/// More than a rebuild has.
const MOST_CALLS: usize = 400;

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
        // And a name that is new is made with its alias by the earlier group, which asked before searches moved.
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
    // A third group begins, while the process that moved searches to the second one still runs.
    replace("v2", "v3", RebuildPhase::Filling);
    assert!(is_needed().await, "searches see what it writes");
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
