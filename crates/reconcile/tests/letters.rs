//! Dead letters go when their documents are right.

use std::sync::Arc;
use std::time::Duration;

use streamdex_delivery::letter::{DeadLetter, LetterAddress, LetterKey, LetterRole};
use streamdex_mapping::{IndexName, Route};
use streamdex_reconcile::letters::{Replay, ReplayReport, Selection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::world::{BEGIN, World};

fn world() -> Arc<World> {
    World::new(vec![Route::to(IndexName::parse("i").unwrap())])
}

fn letter(key: &str, created: u64) -> DeadLetter {
    DeadLetter {
        format: 1,
        key: LetterKey { stream: "s".into(), record: key.into(), ordinal: 1 },
        table: "sessions".into(),
        at: created,
        created: Some(created),
        keys: Some(format!(r#"{{"pk":{{"S":"{key}"}}}}"#)),
        role: LetterRole::Live,
        address: Some(LetterAddress { index: "i".into(), generation: Some(1), id: key.into(), routing: None }),
        version: Some(created << 31),
        reason: "mapper_parsing_exception".into(),
        error: "x".into(),
        document: None,
        document_omitted: false,
    }
}

fn add(world: &World, letter: DeadLetter) {
    world.state().letters.insert(letter.key.clone(), letter);
}

async fn replay(world: &Arc<World>) -> ReplayReport {
    let replay = Replay::new(world.mirror(), world.repair());
    replay.run(&Selection::default(), &CancellationToken::new()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_letter_goes_when_its_document_was_seen() {
    let world = world();
    for (key, value) in [("a", 1), ("b", 2)] {
        world.state().put(key, value);
        add(&world, letter(key, BEGIN - 500));
    }
    world.state().refused.push("b".into());
    let report = replay(&world).await;
    assert_eq!((report.letters, report.healed, report.refused), (2, 1, 1), "{report:?}");
    let left: Vec<String> = world.state().letters.keys().map(|key| key.record.clone()).collect();
    assert_eq!((left, world.state().document("a")), (vec!["b".to_owned()], Some(r#"{"n":1,"pk":"a"}"#)));
}

/// What was read is written under a version above that of the change: a younger change is waited for.
#[tokio::test(start_paused = true)]
async fn a_letter_of_a_young_change_waits_for_the_margin() {
    let world = world();
    world.state().put("a", 1);
    // An older state under the very version of the letter: only a later read is written over it.
    world.state().index("a", 0, BEGIN - 10);
    add(&world, letter("a", BEGIN - 10));
    let begun = Instant::now();
    let report = replay(&world).await;
    assert_eq!(report.healed, 1, "{report:?}");
    assert_eq!(begun.elapsed().as_secs(), 81);
    assert_eq!(world.state().document("a"), Some(r#"{"n":1,"pk":"a"}"#));
}

/// The state in the letter's record is never written: what is in the table now is.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_gone_stays_gone() {
    let world = world();
    add(&world, letter("gone", BEGIN - 500));
    add(&world, letter("left over", BEGIN - 500));
    world.state().index("left over", 5, BEGIN - 700);
    let report = replay(&world).await;
    let state = world.state();
    assert_eq!((report.healed, state.document("gone"), state.document("left over")), (2, None, None));
}

/// A newer document that is not what the item gives yet keeps the letter.
#[tokio::test(start_paused = true)]
async fn a_letter_is_left_while_its_document_is_not_right() {
    let world = world();
    world.state().put("a", 1);
    world.state().index("a", 0, BEGIN + 1_000);
    add(&world, letter("a", BEGIN - 500));
    let report = replay(&world).await;
    assert_eq!((report.healed, report.left, world.state().letters.len()), (0, 1, 1), "{report:?}");
}

/// An address of an index that is not there, or of another generation, is not written to.
#[tokio::test(start_paused = true)]
async fn b4_only_addresses_in_indices_of_the_table_are_used() {
    let world = world();
    world.state().index("a", 5, BEGIN - 700);
    for (number, index, generation) in [(0, "elsewhere", Some(1)), (1, "i", Some(2))] {
        let mut foreign = letter("a", BEGIN - 500);
        foreign.key.ordinal = number;
        foreign.address = Some(LetterAddress { index: index.into(), generation, id: "a".into(), routing: None });
        add(&world, foreign);
    }
    let report = replay(&world).await;
    let state = world.state();
    assert_eq!((report.healed, state.document("a").is_some(), state.requests), (2, true, 0), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn b4_a_letter_that_is_written_again_meanwhile_stays() {
    let world = world();
    world.state().put("a", 1);
    add(&world, letter("a", BEGIN - 500));
    // The item is read for the margin first, and then to be written.
    world.state().at_read.insert(2, |state| {
        let again = DeadLetter { at: BEGIN, ..letter("a", BEGIN - 500) };
        state.letters.insert(again.key.clone(), again);
    });
    let report = replay(&world).await;
    assert_eq!((report.healed, report.left, world.state().letters.len()), (0, 1, 1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn copies_of_expired_items_are_sent_as_they_were_kept() {
    let world = world();
    let mut copy = letter("a", BEGIN - 500).with_document(br#"{"pk":"a","expired_at":17}"#);
    copy.role = LetterRole::Archive;
    copy.address = Some(LetterAddress { index: "old".into(), generation: Some(1), id: "a|17".into(), routing: None });
    add(&world, copy);
    let report = replay(&world).await;
    let place = ("old-000001".to_owned(), "a|17".to_owned(), None);
    let stored = world.state().documents.get(&place).cloned();
    assert_eq!(
        (report.healed, stored.unwrap()),
        (1, ((BEGIN - 500) << 31, Some(r#"{"pk":"a","expired_at":17}"#.into())))
    );
}

#[tokio::test(start_paused = true)]
async fn letters_without_keys_are_settled_by_a_repair_that_ends_equal() {
    let world = world();
    world.state().put("a", 1);
    add(&world, DeadLetter { keys: None, address: None, ..letter("nobody", BEGIN - 500) });
    add(&world, letter("a", BEGIN - 500));
    let report = replay(&world).await;
    assert_eq!((report.unreplayable, report.healed), (1, 1), "{report:?}");
    let report = world.verify(None).await;
    assert_eq!((report.is_equal(), world.state().letters.len()), (true, 1), "a comparison changes nothing");
    world.state().put("b", 2);
    world.state().refused.push("b".into());
    let report = world.verify(Some(world.repair())).await;
    assert_eq!((report.healed, world.state().letters.len()), (0, 1), "not everything is equal: {report:?}");
    world.state().refused.clear();
    let report = world.verify(Some(world.repair())).await;
    assert_eq!((report.healed, world.state().letters.len()), (1, 0), "{report:?}");
}

/// A pause without an end would be a hang: time is short here.
/// A record that got its outcome while the table was compared: a dead letter.
#[tokio::test(start_paused = true)]
async fn a_letter_that_comes_during_a_comparison_explains_the_difference() {
    let world = world();
    world.state().put("late", 1);
    let came = tokio::spawn({
        let world = Arc::clone(&world);
        async move {
            sleep(Duration::from_secs(40)).await;
            add(&world, letter("late", BEGIN - 500));
        }
    });
    let report = world.verify(None).await;
    came.await.unwrap();
    assert_eq!((report.missing, report.dead_lettered, report.dead_letters), (0, 1, 1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn letters_of_other_tables_are_left_alone() {
    let world = world();
    add(&world, DeadLetter { table: "other".into(), ..letter("a", BEGIN - 500) });
    let report = tokio::time::timeout(Duration::from_secs(5), replay(&world)).await.unwrap();
    assert_eq!((report.letters, world.state().letters.len()), (0, 1));
}
