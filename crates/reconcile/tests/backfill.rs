//! Backfill.

use std::sync::Arc;
use std::time::Duration;

use streamdex_delivery::backfill::{BackfillRecord, BackfillState, FilledBy, SegmentProgress};
use streamdex_delivery::{Bounds, Term};
use streamdex_mapping::{IndexName, Route};
use streamdex_reconcile::Fault;
use streamdex_reconcile::backfill::{Backfill, Claim, End, Report, Settings, claim};
use streamdex_reconcile::pace::Pace;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::world::{BEGIN, State, World};

const SEGMENTS: u32 = 3;

fn world(items: u32) -> Arc<World> {
    let world = World::new(vec![Route::to(IndexName::parse("i").unwrap())]);
    for number in 0..items {
        world.state().put(&format!("item {number:03}"), number);
    }
    world.state().page_items = 4;
    world
}

fn settings() -> Settings {
    Settings { read_units: Pace::new(None), items: None, most_items: None }
}

fn fresh() -> BackfillRecord {
    BackfillRecord::new(FilledBy::Command, SEGMENTS, 0, BEGIN)
}

async fn claimed(world: &World, owner: &str) -> Claim {
    let cancel = CancellationToken::new();
    claim(world, owner, fresh(), Term { cancel: &cancel, until: None }).await.unwrap()
}

async fn held(world: &World, owner: &str) -> BackfillRecord {
    match claimed(world, owner).await {
        Claim::Held(record) => record,
        other => panic!("{other:?}"),
    }
}

async fn run(backfill: Arc<Backfill>, record: BackfillRecord, stop: &CancellationToken) -> Result<Report, Fault> {
    backfill.run(record, Bounds::from(CancellationToken::new()), stop.clone()).await
}

/// One process that fills to the end.
async fn fill(world: &Arc<World>) -> Report {
    let record = held(world, "one").await;
    run(world.backfill(settings()), record, &CancellationToken::new()).await.unwrap()
}

/// A process that fills so many items a second.
fn fill_slowly(world: &Arc<World>, items: u32) -> JoinHandle<Result<Report, Fault>> {
    let (world, slow) = (Arc::clone(world), Settings { items: Some(items), ..settings() });
    tokio::spawn(async move {
        let record = held(&world, "one").await;
        run(world.backfill(slow), record, &CancellationToken::new()).await
    })
}

fn is_equal(state: &State) -> bool {
    let given = state.items.keys().map(String::as_str);
    let documents = state.documents.iter().filter(|(_, (_, source))| source.is_some());
    given.eq(documents.map(|((_, id, _), _)| id.as_str()))
}

#[tokio::test(start_paused = true)]
async fn every_item_is_written_under_the_time_of_its_page() {
    let world = world(50);
    let report = fill(&world).await;
    assert_eq!((report.end, report.tally.applied, report.tally.records()), (End::Complete, 50, 50));
    let state = world.state();
    assert!(is_equal(&state));
    let record = state.record.as_ref().unwrap();
    assert_eq!((record.state, record.items, record.done(), &record.owner), (BackfillState::Complete, 50, 3, &None));
    // The margin of reads: creation times are rounded down.
    assert!(state.documents.values().all(|(version, _)| *version == (BEGIN - 90) << 31));
}

#[tokio::test(start_paused = true)]
async fn it_stops_after_the_page_in_hand_and_goes_on_there() {
    let world = world(50);
    let stop = CancellationToken::new();
    let slow = Settings { items: Some(4), ..settings() };
    let first = tokio::spawn({
        let (world, stop) = (world.clone(), stop.clone());
        async move { run(world.backfill(slow), held(&world, "one").await, &stop).await.unwrap() }
    });
    sleep(Duration::from_millis(2_500)).await;
    stop.cancel();
    let report = timeout(Duration::from_secs(1), first).await.unwrap().unwrap();
    assert_eq!(report.end, End::Stopped);
    let (pages, written) = (world.state().pages, report.tally.records());
    assert!((4..30).contains(&written), "{written}");
    let record = world.state().record.clone().unwrap();
    assert_eq!((record.owner.clone(), record.items, record.state), (None, written, BackfillState::Running));
    assert!(record.segments.iter().any(|segment| matches!(segment, SegmentProgress::At(Some(_)))), "{record:?}");
    let report = run(world.backfill(settings()), held(&world, "two").await, &CancellationToken::new()).await.unwrap();
    let state = world.state();
    assert_eq!((report.end, report.tally.records()), (End::Complete, 50 - written), "no item is read twice");
    assert!(is_equal(&state) && state.pages - pages < 15, "{}", state.pages - pages);
}

#[tokio::test(start_paused = true)]
async fn the_next_process_goes_on_where_one_that_died_stored_its_position() {
    let world = world(60);
    let dies = fill_slowly(&world, 4);
    sleep(Duration::from_secs(8)).await;
    dies.abort();
    let _ = dies.await;
    let begun = Instant::now();
    let record = held(&world, "two").await;
    assert_eq!(begun.elapsed().as_secs(), 20, "it might live");
    assert!(record.items > 0 && record.segments.iter().any(|segment| *segment != SegmentProgress::At(None)));
    let report = run(world.backfill(settings()), record, &CancellationToken::new()).await.unwrap();
    assert!(report.end == End::Complete && report.tally.records() < 60 && is_equal(&world.state()));
}

#[tokio::test(start_paused = true)]
async fn one_process_at_a_time_fills() {
    let world = world(60);
    let lives = fill_slowly(&world, 1);
    sleep(Duration::from_secs(1)).await;
    let Claim::Taken(by) = claimed(&world, "two").await else { panic!("it was taken from one that lives") };
    assert_eq!(by.owner.as_deref(), Some("one"));
    // Somebody took it all the same, as after a long sleep of the first.
    let other = |state: &mut State| {
        let record = state.record.as_mut().unwrap();
        (record.owner, record.beat) = (Some("three".into()), record.beat + 1);
    };
    other(&mut world.state());
    let ended = timeout(Duration::from_secs(10), lives).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Fault::Taken)), "{ended:?}");
    assert_eq!(world.state().record.as_ref().unwrap().owner.as_deref(), Some("three"));
    assert!(!is_equal(&world.state()));
}

#[tokio::test(start_paused = true)]
async fn what_is_complete_is_not_filled_again() {
    let world = world(9);
    fill(&world).await;
    assert!(matches!(claimed(&world, "two").await, Claim::Complete(_)));
}

#[tokio::test(start_paused = true)]
async fn b1_it_is_not_complete_while_a_gap_is_open_nor_when_one_was_closed() {
    let world = world(9);
    world.state().gaps = 1;
    assert_eq!(fill(&world).await.end, End::Gapped);
    assert_eq!(world.state().record.as_ref().unwrap().state, BackfillState::Running);
    // Whoever closes the gap replaces the record.
    let slow = Settings { items: Some(1), ..settings() };
    (world.state().gaps, world.state().record) = (0, None);
    let record = held(&world, "two").await;
    let filling = world.backfill(slow);
    let lives = tokio::spawn(async move { run(filling, record, &CancellationToken::new()).await });
    sleep(Duration::from_secs(1)).await;
    world.state().record = None;
    assert!(matches!(lives.await.unwrap(), Err(Fault::Taken)));
    assert_eq!(world.state().record, None);
    // A backfill removes nothing.
    world.state().record = Some(BackfillRecord { not_before: 0, ..BackfillRecord::after_gap(FilledBy::Run, BEGIN) });
    assert_eq!(fill(&world).await.end, End::Gapped);
    let record = world.state().record.clone().unwrap();
    assert!(record.state == BackfillState::Running && record.after_gap && record.owner.is_none(), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn b1_who_filled_before_a_gap_stores_nothing_after_it() {
    let world = world(60);
    let before = fill_slowly(&world, 1);
    sleep(Duration::from_millis(500)).await;
    let beat = world.state().record.as_ref().unwrap().beat;
    // The gap is closed some seconds later, and another process has claimed what is to be done then.
    let after = BackfillRecord::after_gap(FilledBy::Run, BEGIN + 3);
    assert!(after.beat > beat, "nobody takes it for an earlier one");
    world.state().record = Some(BackfillRecord { owner: Some("two".into()), ..after.clone() });
    assert!(matches!(before.await.unwrap(), Err(Fault::Taken)));
    assert_eq!(world.state().record, Some(BackfillRecord { owner: Some("two".into()), ..after }));
}

#[tokio::test(start_paused = true)]
async fn b1_nothing_is_read_before_the_stream_was_followed_for_the_margin() {
    let world = world(9);
    let record = BackfillRecord { not_before: BEGIN + 90, ..held(&world, "one").await };
    let begun = Instant::now();
    let report = run(world.backfill(settings()), record, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.end, begun.elapsed().as_secs()), (End::Complete, 90));
    // A document with a newer version was written by a change that came after the pin, or by this read.
    assert!(world.state().documents.values().all(|(version, _)| *version == BEGIN << 31));
}

/// The request is carried out, and its answer is lost; the item is deleted meanwhile, and its tombstone forgotten.
#[tokio::test(start_paused = true)]
async fn law_of_reads_what_got_no_answer_is_read_again() {
    let world = world(1);
    world.state().unanswered = vec![1];
    // The page is read first, and the item by its key then.
    world.state().at_read.insert(2, |state| {
        state.items.clear();
    });
    let report = fill(&world).await;
    assert_eq!((report.end, world.state().reads), (End::Complete, SEGMENTS + 1));
    assert!(is_equal(&world.state()), "{:?}", world.state().documents);
}

#[tokio::test(start_paused = true)]
async fn law_of_reads_what_was_throttled_is_read_again() {
    let world = world(1);
    world.state().throttled_until = BEGIN + 35;
    let deleted = tokio::spawn({
        let world = world.clone();
        async move {
            sleep(Duration::from_secs(5)).await;
            world.state().items.clear();
        }
    });
    let begun = Instant::now();
    let report = fill(&world).await;
    deleted.await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(report.end == End::Complete && is_equal(&world.state()), "{:?}", world.state().documents);
}

/// Two requests at a time, of 9 s each: the last ones of three large pages are sent after a minute. Those items are deleted
/// when their page is 31 s old.
#[tokio::test(start_paused = true)]
async fn law_of_reads_what_was_read_long_ago_is_read_again() {
    let world = world(1_500);
    (world.state().page_items, world.state().takes) = (0, Duration::from_secs(9));
    let deleted = tokio::spawn({
        let world = world.clone();
        async move {
            sleep(Duration::from_secs(31)).await;
            let mut state = world.state();
            let waiting: Vec<String> =
                state.items.keys().filter(|key| state.document(key).is_none()).cloned().collect();
            assert!(waiting.len() > 100, "{}", waiting.len());
            waiting.iter().for_each(|key| drop(state.items.remove(key)));
        }
    });
    let report = fill(&world).await;
    deleted.await.unwrap();
    assert!(report.end == End::Complete && is_equal(&world.state()), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_given_up_is_read_by_the_next_process() {
    let world = world(60);
    world.state().throttled_until = BEGIN + 20;
    let record = held(&world, "one").await;
    let cancel = CancellationToken::new();
    let bounds = Bounds { cancel: cancel.clone(), ..Bounds::default() };
    let filling = world.backfill(settings()).run(record, bounds, CancellationToken::new());
    let given_up = async {
        sleep(Duration::from_secs(7)).await;
        cancel.cancel();
    };
    let (filled, ()) = tokio::join!(filling, given_up);
    assert!(filled.is_err(), "{filled:?}");
    let record = world.state().record.clone().unwrap();
    let nothing = record.segments.iter().all(|segment| *segment == SegmentProgress::At(None));
    assert!(nothing && record.items == 0 && record.owner.is_none(), "{record:?}");
    sleep(Duration::from_secs(20)).await;
    assert_eq!(fill(&world).await.end, End::Complete);
    assert!(is_equal(&world.state()));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_refused_is_a_dead_letter_and_its_neighbours_are_written() {
    let world = world(9);
    world.state().refused.push("item 004".into());
    let report = fill(&world).await;
    assert_eq!((report.end, report.tally.applied, report.tally.dead_lettered), (End::Complete, 8, 1));
    let state = world.state();
    assert_eq!((state.letters.len(), state.record.as_ref().unwrap().dead_lettered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_table_with_more_items_than_were_meant_is_not_filled_further() {
    let world = world(60);
    let few = Settings { most_items: Some(10), ..settings() };
    let report = run(world.backfill(few), held(&world, "one").await, &CancellationToken::new()).await.unwrap();
    assert!(report.end == End::TooLarge && report.tally.records() < 30, "{report:?}");
    // A command that may goes on from there.
    let written = report.tally.records();
    let report = run(world.backfill(settings()), held(&world, "two").await, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.end, report.tally.records()), (End::Complete, 60 - written));
}

#[tokio::test(start_paused = true)]
async fn items_and_read_units_are_paced() {
    for (paced, seconds) in [
        (Settings { items: Some(10), ..settings() }, 3..=6),
        (Settings { read_units: Pace::new(Some(1.0)), ..settings() }, 9..=20),
    ] {
        let world = world(60);
        let begun = Instant::now();
        let report = run(world.backfill(paced), held(&world, "one").await, &CancellationToken::new()).await.unwrap();
        assert!(report.end == End::Complete && seconds.contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }
}

/// What went into it is to be written once more: no position speaks of it any more.
#[tokio::test(start_paused = true)]
async fn an_index_that_vanishes_while_it_is_filled_is_no_complete_one() {
    let world = world(60);
    let filling = fill_slowly(&world, 4);
    sleep(Duration::from_secs(6)).await;
    let known = world.state().record.as_ref().unwrap().segments.clone();
    world.state().vanished = true;
    let fault = filling.await.unwrap().unwrap_err();
    assert!(fault.to_string().contains("i-000001"), "{fault}");
    let state = world.state();
    assert_eq!(state.record.as_ref().unwrap().segments, known);
    assert_eq!(state.noted.get("i-000001").map(String::as_str), Some("u1"), "the next process has to see it");
}
