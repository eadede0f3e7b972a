//! Whose fault a refusal is: one test for each row of the table of docs/adr/0009-brake.md, by its number.

use std::sync::Arc;
use std::time::Duration;

use streamdex_mapping::{Action, Operation, Outcome};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::world::{Fault, World};
use super::{applied, delete, index, many, operation, read, refused, settings, start, start_again, writing};
use crate::classify::PauseReason;
use crate::writer::{Braked, Decision, Fault as Stop, Patience, ShortStreak, WriterSettings};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn function() -> WriterSettings {
    WriterSettings { short_streak: ShortStreak::GiveBack { unproven: SECOND * 60 }, ..settings() }
}

fn command() -> WriterSettings {
    let second = ShortStreak::Refuse { proven: SECOND, unproven: SECOND };
    WriterSettings { patience: Patience::one_shot(), short_streak: second, ..settings() }
}

pub(super) fn named(index_name: &str, name: &str, count: usize) -> Vec<Operation> {
    (0..count).map(|n| index(index_name, &format!("{name}-{n}"))).collect()
}

pub(super) fn undecided(decisions: &[Decision]) -> usize {
    let is_undecided = |decision: &&Decision| matches!(decision, Decision::Stopped(fault) if matches!(**fault, Stop::Undecided { .. }));
    decisions.iter().filter(is_undecided).count()
}

pub(super) fn is_open(task: &JoinHandle<Vec<Decision>>) -> bool {
    !task.is_finished()
}

fn broken(index: &str) -> Arc<World> {
    let world = Arc::new(World::default());
    world.with(|state| state.no_pipeline.insert(index.into()));
    world
}

#[tokio::test(start_paused = true)]
async fn row_1_a_refusal_beside_an_acceptance_is_a_dead_letter_at_once() {
    for settings in [settings(), function(), command()] {
        let world = Arc::new(World::default());
        let (writer, _cancel) = start(&world, settings);
        let began = Instant::now();
        let decisions = writer.write(vec![index("a", "good"), index("a", "unmappable")]).await;
        assert_eq!((applied(&decisions), refused(&decisions)), (1, 1));
        assert!(began.elapsed() < SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn row_2_r3_a_short_streak_is_undecided_until_an_acceptance() {
    for settings in [settings(), function()] {
        let world = Arc::new(World::default());
        world.fault(Fault::Slow(SECOND / 2));
        let (writer, _cancel) = start(&world, settings);
        let bad = writing(&writer, named("a", "unmappable", 3));
        sleep(SECOND / 10).await;
        let good = writing(&writer, vec![index("a", "good")]);
        sleep(SECOND / 4).await;
        assert!(is_open(&bad));
        assert_eq!(applied(&good.await.unwrap()), 1);
        assert_eq!(refused(&bad.await.unwrap()), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn row_3_a_short_streak_of_an_index_that_accepted_before_is_resolved_when_it_is_quiet() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    assert_eq!(applied(&writer.write(many("a", 3)).await), 3);
    let began = Instant::now();
    assert_eq!(refused(&writer.write(named("a", "unmappable", 3)).await), 3);
    assert!(began.elapsed() >= SECOND * 2 && began.elapsed() < SECOND * 4, "{:?}", began.elapsed());

    let (writer, cancel) = start(&world, function());
    assert_eq!(applied(&writer.write(many("b", 3)).await), 3);
    let began = Instant::now();
    assert_eq!(refused(&writer.write(named("b", "unmappable", 3)).await), 3);
    assert!(began.elapsed() < SECOND);
    cancel.cancel();
    writer.ended().await;
    // What one invocation has seen, the next one knows.
    let (next, _cancel) = start_again(&world, function(), writer.learned());
    assert_eq!(refused(&next.write(named("b", "unmappable", 3)).await), 3);
}

#[tokio::test(start_paused = true)]
async fn row_4_a_short_streak_of_an_index_that_never_accepted_waits_longer_or_is_given_back() {
    for (settings, least) in [(settings(), SECOND * 60), (command(), SECOND)] {
        let world = Arc::new(World::default());
        let (writer, _cancel) = start(&world, settings);
        let began = Instant::now();
        assert_eq!(refused(&writer.write(named("a", "unmappable", 3)).await), 3);
        assert!(began.elapsed() >= least && began.elapsed() < least + SECOND * 2, "{:?}", began.elapsed());
    }
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, function());
    let began = Instant::now();
    let decisions = writer.write(named("a", "unmappable", 3)).await;
    assert_eq!(undecided(&decisions), 3);
    assert!(began.elapsed() < SECOND);
    let Decision::Stopped(fault) = &decisions[0] else { panic!("{decisions:?}") };
    assert!(fault.to_string().contains("index a refused 3 documents in a row") && !fault.hint().is_empty(), "{fault}");
    // The batch comes again, to other writers of the sandbox, until that has lasted as long as for `run`.
    sleep(SECOND * 58).await;
    let (next, _cancel) = start_again(&world, function(), writer.learned());
    assert_eq!(undecided(&next.write(named("a", "unmappable", 3)).await), 3);
    sleep(SECOND * 2).await;
    let (last, _cancel) = start_again(&world, function(), writer.learned());
    assert_eq!(refused(&last.write(named("a", "unmappable", 3)).await), 3);
}

#[tokio::test(start_paused = true)]
async fn row_4_bad_records_that_trickle_reach_the_brake_in_the_end() {
    let world = broken("a-000001");
    let (writer, _cancel) = start(&world, settings());
    let mut letters = 0;
    for n in 0..60 {
        let written = tokio::time::timeout(SECOND * 120, writer.write(vec![index("a", &format!("d{n}"))])).await;
        letters += written.map_or(0, |decisions| refused(&decisions));
    }
    assert_eq!(letters, 49, "the fiftieth trips the brake");
    assert_eq!(writer.braked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn row_5_and_8_the_brake_pauses_the_index_and_no_dead_letter_is_made() {
    for settings in [settings(), function()] {
        let world = broken("a-000001");
        let (writer, _cancel) = start(&world, settings);
        let bad = writing(&writer, many("a", 200));
        writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
        let pause = writer.pauses().remove(0);
        assert_eq!(pause.reason, PauseReason::DocumentsRefused);
        assert!(pause.to_string().contains("50 documents in a row; the last: illegal_argument_exception"), "{pause}");
        assert!(pause.hint().contains("brake_after"));
        assert_eq!(writer.braked(), [Braked { concrete: "a-000001".into(), refused: 50 }]);
        sleep(SECOND * 60).await;
        assert!(is_open(&bad));
        // The probes rotate: another document each time.
        let probed = world.with(|state| state.documents_seen.values().filter(|count| **count > 1).count());
        assert!((20..=60).contains(&probed), "{probed}");
        assert!(world.with(|state| state.documents_seen.values().all(|count| *count <= 2)));
        // Other indices go on.
        assert_eq!(applied(&writer.write(many("b", 20)).await), 20);
        // The index is repaired: nothing was lost to the dead letters.
        world.with(|state| state.no_pipeline.clear());
        assert_eq!(applied(&bad.await.unwrap()), 200);
        assert!(writer.pauses().is_empty() && writer.braked().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn row_5_a_command_gives_up_with_the_reason() {
    let world = broken("a-000001");
    let (writer, _cancel) = start(&world, command());
    let decisions = writer.write(many("a", 200)).await;
    let is_braked = |decision: &Decision| {
        matches!(decision, Decision::Stopped(fault)
            if matches!(&**fault, Stop::Paused(pause) if pause.reason == PauseReason::DocumentsRefused))
    };
    assert!(decisions.iter().all(is_braked), "{decisions:?}");
}

#[tokio::test(start_paused = true)]
async fn row_6_and_7_refusals_that_name_a_field_have_a_bound_of_their_own() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    assert_eq!(refused(&writer.write(named("a", "mistyped", 500)).await), 500);
    assert!(writer.braked().is_empty());
    let many = writing(&writer, named("a", "mistyped-more", 600));
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    assert_eq!(writer.braked(), [Braked { concrete: "a-000001".into(), refused: 1000 }]);
    assert!(is_open(&many));
}

#[tokio::test(start_paused = true)]
async fn row_9_r4_one_acceptance_ends_the_brake_and_the_streak_is_dead_letters() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let bad = writing(&writer, named("a", "unmappable", 2_000));
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    let began = Instant::now();
    assert_eq!(applied(&writer.write(vec![index("a", "good")]).await), 1);
    // Its turn comes before those that were refused.
    assert!(began.elapsed() < SECOND * 10, "{:?}", began.elapsed());
    // All that were refused once are refused again, and the rest trips the brake once more.
    let mut good = 0;
    while is_open(&bad) {
        good += 1;
        assert!(good < 100, "the bad ones are not decided");
        writer.write(vec![index("a", &format!("good-{good}"))]).await;
    }
    assert_eq!(refused(&bad.await.unwrap()), 2_000);
}

#[tokio::test(start_paused = true)]
async fn row_10_r1_deletes_and_conflicts_do_not_end_a_streak() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let newer = operation("a", "x", 9, Action::Index("{}".into()));
    assert_eq!(applied(&writer.write(vec![newer, index("a", "y")]).await), 2);
    world.with(|state| state.no_pipeline.insert("a-000001".into()));
    let mut batch = many("a", 49);
    batch.extend([delete("a", "y"), delete("a", "nothing")]);
    let held = writing(&writer, batch);
    sleep(SECOND).await;
    assert!(is_open(&held), "neither an applied nor an absent delete decides the streak");
    let last = writing(&writer, vec![index("a", "last")]);
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    // While braked, a delete is carried out and ends nothing.
    let deleted = writer.write(vec![delete("a", "w")]).await;
    assert!(matches!(deleted[..], [Decision::Done(Outcome::Absent)]));
    assert_eq!(writer.braked().len(), 1);
    assert!(is_open(&held) && is_open(&last));
}

#[tokio::test(start_paused = true)]
async fn row_11_refused_deletes_count() {
    let world = Arc::new(World::default());
    world.with(|state| state.no_write_index.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let deletes = writing(&writer, (0..60).map(|n| delete("a", &format!("d{n}"))).collect());
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    assert!(is_open(&deletes) && writer.braked().len() == 1);
    world.with(|state| state.no_write_index.clear());
    world.with(|state| state.documents.insert(("a-000001".into(), "d1".into()), (1, true)));
    writer.write(vec![index("a", "good")]).await;
    assert!(deletes.await.unwrap().iter().all(|decision| matches!(decision, Decision::Done(_))));
}

#[tokio::test(start_paused = true)]
async fn row_12_r2_a_field_limit_is_a_dead_letter_and_counts_like_others() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let mut batch = many("a", 3);
    batch.extend(named("a", "wide", 20));
    let decisions = writer.write(batch).await;
    assert_eq!((applied(&decisions), refused(&decisions)), (3, 20));
    assert!(writer.pauses().is_empty());
    let Decision::Refused(refusal) = &decisions[3] else { panic!("{decisions:?}") };
    assert_eq!(refusal.message, "the index would have more than 1000 fields");
    let alone = writing(&writer, named("a", "wide-alone", 60));
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    assert!(is_open(&alone) && writer.braked().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn row_13_zero_switches_the_brake_off() {
    let world = broken("a-000001");
    let off = WriterSettings { brake_after: 0, brake_after_field: 0, ..settings() };
    let (writer, _cancel) = start(&world, off);
    let began = Instant::now();
    assert_eq!(refused(&writer.write(many("a", 200)).await), 200);
    assert!(began.elapsed() < SECOND && writer.pauses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn row_23_a_document_that_breaks_the_server_stands_alone_and_is_a_dead_letter() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let mut batch = many("a", 50);
    batch[20] = index("a", "crashing");
    let decisions = writer.write(batch).await;
    assert_eq!((applied(&decisions), refused(&decisions)), (49, 1));
    assert!(writer.stats().paused.is_empty());
}

#[tokio::test(start_paused = true)]
async fn row_23_what_is_read_again_each_time_is_a_lasting_trouble_too() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    for round in 0.. {
        assert!(round < 20, "it is read again for ever");
        let decisions = writer.write(vec![read("a", "crashing"), index("a", &format!("good-{round}"))]).await;
        match &decisions[0] {
            Decision::ReadAgain => {}
            Decision::Refused(_) => break,
            other => panic!("{other:?}"),
        }
    }
    // Where no neighbour is accepted, it is a pause.
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let again = tokio::spawn({
        let writer = writer.clone();
        async move {
            loop {
                writer.write(vec![read("a", "crashing")]).await;
            }
        }
    });
    let paused = async { writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.map(drop) };
    tokio::time::timeout(SECOND * 300, paused).await.unwrap().unwrap();
    again.abort();
}

#[tokio::test(start_paused = true)]
async fn row_24_one_red_shard_is_nobodys_fault_and_halts_nobody() {
    let world = Arc::new(World::default());
    world.with(|state| state.timeouts = (SECOND * 15, SECOND * 60));
    let (writer, _cancel) = start(&world, settings());
    let red = writing(&writer, named("a", "shardless", 5));
    for n in 0..30 {
        let began = Instant::now();
        assert_eq!(applied(&writer.write(vec![index("a", &format!("d{n}"))]).await), 1);
        assert!(n == 0 || began.elapsed() < SECOND * 16, "{n} {:?}", began.elapsed());
        sleep(SECOND * 5).await;
    }
    assert!(is_open(&red));
}

#[tokio::test(start_paused = true)]
async fn row_25_a_lasting_500_without_accepted_neighbours_is_a_pause() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let all = writing(&writer, named("a", "crashing", 3));
    sleep(SECOND * 120).await;
    assert_eq!(writer.pauses()[0].reason, PauseReason::ServerErrors);
    assert!(is_open(&all));
    // A neighbour is probed too, is accepted, and shows that they are at fault.
    assert_eq!(applied(&writer.write(vec![index("a", "good")]).await), 1);
    for n in 0.. {
        if all.is_finished() {
            break;
        }
        assert!(n < 200, "the crashing ones are not decided");
        writer.write(vec![index("a", &format!("good-{n}"))]).await;
        sleep(SECOND).await;
    }
    assert_eq!(refused(&all.await.unwrap()), 3);
}

/// As OpenSearch answers where an index has a pipeline and no node runs any.
#[tokio::test(start_paused = true)]
async fn row_28_an_index_that_breaks_whole_requests_is_braked_alone() {
    for settings in [settings(), function()] {
        let world = Arc::new(World::default());
        world.with(|state| state.no_ingest.insert("a-000001".into()));
        let (writer, _cancel) = start(&world, settings);
        let mut both = many("a", 100);
        both.extend(named("b", "other", 20));
        let all = writing(&writer, both);
        let began = Instant::now();
        let is_braked = |pauses: &Vec<crate::pause::Pause>| {
            pauses.iter().any(|pause| pause.reason == PauseReason::DocumentsRefused)
        };
        writer.watch_pauses().wait_for(is_braked).await.unwrap();
        assert!(began.elapsed() < SECOND * 60, "{:?}", began.elapsed());
        assert_eq!(writer.pauses().len(), 1, "neither the cluster nor another index is paused");
        assert_eq!(world.live(), 20);
        assert!(matches!(writer.write(vec![delete("a", "x")]).await[..], [Decision::Done(_)]));
        assert!(is_open(&all));
        world.with(|state| state.no_ingest.clear());
        assert_eq!(applied(&all.await.unwrap()), 120);
    }
}

#[tokio::test(start_paused = true)]
async fn row_28_a_document_that_breaks_whole_requests_is_a_dead_letter() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let mut batch = many("a", 50);
    batch[20] = index("a", "defect");
    let decisions = writer.write(batch).await;
    assert_eq!((applied(&decisions), refused(&decisions)), (49, 1));
}

#[tokio::test(start_paused = true)]
async fn r4_and_r5_what_an_earlier_writer_braked_the_next_one_begins_braked() {
    let world = broken("a-000001");
    let (writer, cancel) = start(&world, function());
    let _all = writing(&writer, many("a", 60));
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    cancel.cancel();
    writer.ended().await;
    let before = world.requests().len();
    let (next, _cancel) = start_again(&world, function(), writer.learned());
    let again = writing(&next, many("a", 60));
    sleep(SECOND).await;
    let sizes = world.requests().split_off(before);
    assert!(!sizes.is_empty() && sizes.iter().all(|size| *size == 1), "it begins with single probes: {sizes:?}");
    assert_eq!(next.pauses()[0].reason, PauseReason::DocumentsRefused);
    world.with(|state| state.no_pipeline.clear());
    assert_eq!(applied(&again.await.unwrap()), 60);

    // As a state table would have kept it.
    let (writer, _cancel) = start(&world, settings());
    writer.learned().brake("b-000001".into());
    let before = world.requests().len();
    assert_eq!(applied(&writer.write(many("b", 20)).await), 20);
    assert_eq!(world.requests().split_off(before), [1, 19]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_given_up_with_its_caller_and_at_the_end() {
    let world = Arc::new(World::default());
    let (writer, cancel) = start(&world, settings());
    let left = tokio::time::timeout(SECOND * 5, writer.write(named("a", "unmappable", 3))).await;
    assert!(left.is_err());
    sleep(SECOND * 2).await;
    assert_eq!(writer.stats().waiting, 0);
    let held = writing(&writer, named("a", "unmappable", 3));
    sleep(SECOND).await;
    assert_eq!(writer.stats().waiting, 3);
    cancel.cancel();
    assert!(held.await.unwrap().iter().all(|decision| matches!(decision, Decision::Stopped(_))));
}

#[tokio::test(start_paused = true)]
async fn an_operation_on_a_held_document_waits_for_it() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let held = writing(&writer, vec![index("a", "unmappable")]);
    sleep(SECOND).await;
    let next = writing(&writer, vec![operation("a", "unmappable", 2, Action::Delete)]);
    sleep(SECOND).await;
    assert_eq!(world.requests(), [1]);
    assert_eq!(applied(&writer.write(vec![index("a", "good")]).await), 1);
    assert_eq!(refused(&held.await.unwrap()), 1);
    // The world refuses its delete as well.
    assert_eq!(next.await.unwrap().len(), 1);
}
