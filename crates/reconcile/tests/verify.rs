//! One rule, one test.

use std::sync::Arc;
use std::time::Duration;

use streamdex_mapping::{IdForm, IndexName, Route};
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::verdict::{Kind, Verdict};
use streamdex_reconcile::verify::Report;
use tokio::time::Instant;

use crate::world::{BEGIN, World};

fn route() -> Route {
    Route::to(IndexName::parse("i").unwrap())
}

fn counts(report: &Report) -> [u64; 5] {
    [report.missing, report.extra, report.different, report.repaired, report.inconclusive]
}

/// Ten items, each with its document, as changes of a thousand seconds ago wrote them.
fn world() -> Arc<World> {
    let world = World::new(vec![route()]);
    for number in 0..10 {
        world.state().put(&format!("k{number}"), number);
        world.state().index(&format!("k{number}"), number, BEGIN - 1_000);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn what_is_equal_is_equal_at_once() {
    let (world, begun) = (world(), Instant::now());
    let report = world.verify(None).await;
    assert!(report.is_equal(), "{report:?}");
    assert_eq!((report.checked, report.documents, begun.elapsed().as_secs()), (10, 10, 0));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_difference_is_found_and_repaired() {
    let world = world();
    {
        let mut state = world.state();
        state.drop_document("k1");
        state.index("k2", 99, BEGIN - 1_000);
        state.index("nobody", 1, BEGIN - 1_000);
    }
    let report = world.verify(None).await;
    assert_eq!(counts(&report), [1, 1, 1, 0, 0], "{report:?}");
    let verdicts: Vec<_> =
        world.state().differences.iter().map(|found| (found.verdict, found.id.clone().unwrap())).collect();
    for expected in [(Verdict::Missing, "k1"), (Verdict::Different, "k2"), (Verdict::NotInTable, "nobody")] {
        assert!(verdicts.contains(&(expected.0, expected.1.to_owned())), "{verdicts:?}");
    }
    let report = world.verify(Some(world.repair())).await;
    assert_eq!((counts(&report), report.is_equal()), ([0, 0, 0, 3, 0], true), "{report:?}");
    let state = world.state();
    assert_eq!((state.document("k1"), state.document("nobody")), (Some(r#"{"n":1,"pk":"k1"}"#), None));
}

/// Items that are read by their keys take units too: a table is not throttled by the documents that it lacks.
#[tokio::test(start_paused = true)]
async fn looks_and_repairs_are_paced_as_the_scan_is() {
    let mut took = Vec::new();
    for pace in [None, Some(1.0)] {
        let (world, begun) = (world(), Instant::now());
        (0..10).for_each(|number| world.state().drop_document(&format!("k{number}")));
        let report = world.verify_at(Pace::new(pace), Some(world.repair())).await;
        assert_eq!(counts(&report), [0, 0, 0, 10, 0], "{report:?}");
        took.push(begun.elapsed().as_secs());
    }
    // Two looks, the repair, and the look after it.
    assert!(took[1] >= took[0] + 4 * 10, "{took:?}");
}

/// The change arrives after the first look, and within the lag and the margin: without a second look it would be missing.
#[tokio::test(start_paused = true)]
async fn a_change_that_arrives_before_the_second_look_is_no_difference() {
    let world = world();
    world.state().put("late", 1);
    world.state().lag = Duration::from_secs(30);
    let arrives = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(119)).await;
            world.state().index("late", 1, BEGIN);
        })
    };
    let report = world.verify(None).await;
    arrives.await.unwrap();
    assert!(report.is_equal(), "{report:?}");
}

/// Where the reader is further behind than there is time to wait, nothing is called a difference, and nothing equal.
#[tokio::test(start_paused = true)]
async fn what_may_be_on_its_way_for_longer_is_inconclusive() {
    let world = world();
    world.state().put("late", 1);
    world.state().lag = Duration::from_secs(3_600);
    let report = world.verify(None).await;
    assert_eq!((counts(&report), report.is_equal()), ([0, 0, 0, 0, 1], false), "{report:?}");
}

/// The item changes between all looks, and its document follows: it is met when both are equal, or it is left open.
#[tokio::test(start_paused = true)]
async fn a_document_that_never_stops_changing_is_inconclusive() {
    let world = world();
    world.state().drop_document("k3");
    let changes = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for number in 100.. {
                tokio::time::sleep(Duration::from_millis(100)).await;
                world.state().put("k3", number);
            }
        })
    };
    let report = world.verify(None).await;
    changes.abort();
    assert_eq!(counts(&report), [0, 0, 0, 0, 1], "{report:?}");
}

/// A version inside the margin refuses what is read: that is no repair, and it is written when the margin has passed.
#[tokio::test(start_paused = true)]
async fn b3_a_409_inside_the_margin_is_written_again_and_not_called_healed() {
    let world = world();
    // Written a little later than the first look: the second one finds it unchanged, and just inside the margin.
    world.state().index("k4", 99, BEGIN + 85);
    let begun = Instant::now();
    let report = world.verify(Some(world.repair())).await;
    assert_eq!(counts(&report), [0, 0, 0, 1, 0], "{report:?}");
    assert!(begun.elapsed() > Duration::from_secs(85 + 90), "{:?}", begun.elapsed());
    assert_eq!(world.state().document("k4"), Some(r#"{"n":4,"pk":"k4"}"#));
}

/// Something else writes a newer document while it is repaired: the write is refused, and the document still wrong.
#[tokio::test(start_paused = true)]
async fn b3_a_newer_document_that_is_wrong_is_not_called_healed() {
    let world = world();
    world.state().drop_document("k6");
    // Two pages, a look, a second look, and the read of the repair.
    world.state().at_read.insert(5, |state| state.index("k6", 99, BEGIN + 91));
    let report = world.verify(Some(world.repair())).await;
    assert_eq!(counts(&report), [0, 0, 0, 1, 0], "{report:?}");
    assert_eq!(world.state().document("k6"), Some(r#"{"n":6,"pk":"k6"}"#));
}

#[tokio::test(start_paused = true)]
async fn b3_a_version_of_the_future_is_named_and_not_repaired() {
    let world = world();
    world.state().index("k5", 99, BEGIN + 100_000);
    let report = world.verify(Some(world.repair())).await;
    assert_eq!((counts(&report), world.state().requests), ([0, 0, 1, 0, 0], 0), "{report:?}");
    assert!(world.state().differences[0].reason.contains("future"));
}

/// A newer change is written between the read and the write of a repair: the document stays as that left it.
#[tokio::test(start_paused = true)]
async fn a_repair_never_puts_an_older_state_over_a_newer_one() {
    let world = world();
    world.state().drop_document("k6");
    // Two pages, a look, a second look, and the read of the repair.
    world.state().at_read.insert(5, |state| {
        state.put("k6", 7);
        state.index("k6", 7, BEGIN + 90);
        // What the repair is about to write is what it read before.
        state.put("k6", 6);
    });
    world.state().at_read.insert(6, |state| state.put("k6", 7));
    let report = world.verify(Some(world.repair())).await;
    assert_eq!(world.state().document("k6"), Some(r#"{"n":7,"pk":"k6"}"#), "{report:?}");
    assert_eq!(report.drift(), 0, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn routing_is_part_of_where_a_document_is_looked_for() {
    let world = World::new(vec![Route { routing: Some("pk".into()), ..route() }]);
    world.state().put("a", 1);
    let source = r#"{"pk":"a","n":1}"#.to_owned();
    let routed = ("i-000001".to_owned(), "a".to_owned(), Some("a".to_owned()));
    world.state().documents.insert(routed, ((BEGIN - 1_000) << 31, Some(source)));
    let report = world.verify(None).await;
    assert!(report.is_equal(), "{report:?}");
    // The same id under another routing is another document, and one too many.
    let astray = ("i-000001".to_owned(), "a".to_owned(), Some("b".to_owned()));
    world.state().documents.insert(astray, (1, Some("{}".to_owned())));
    let report = world.verify(None).await;
    assert_eq!(counts(&report), [0, 1, 0, 0, 0], "{report:?}");
    assert_eq!(world.state().differences[0].verdict, Verdict::OtherAddress);
}

#[tokio::test(start_paused = true)]
async fn archives_are_counted_and_not_compared() {
    let world = world();
    world.state().archives.push("old".into());
    let copy = ("old-000001".to_owned(), "k1|17".to_owned(), None);
    world.state().documents.insert(copy, (1, Some("{}".into())));
    let report = world.verify(None).await;
    assert!(report.is_equal(), "{report:?}");
    assert_eq!((report.archived, report.documents), (1, 10));
}

#[tokio::test(start_paused = true)]
async fn a_hashed_id_whose_document_does_not_hold_the_key_is_inconclusive() {
    let hashed = Route { id_form: IdForm::Hash, ..route() };
    let world = World::new(vec![Route { exclude: vec!["pk".into()], ..hashed.clone() }]);
    world.state().index("~of-nobody", 1, BEGIN - 1_000);
    let report = world.verify(None).await;
    // The document of the world holds its pk; the route says that it is left out.
    assert_eq!(counts(&report), [0, 0, 0, 0, 1], "{report:?}");
    assert_eq!(world.state().differences[0].kind, Some(Kind::Extra));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_no_key_of_the_table_is_named() {
    let world = world();
    world.state().index("a|b", 1, BEGIN - 1_000);
    let report = world.verify(Some(world.repair())).await;
    assert_eq!(counts(&report), [0, 1, 0, 0, 0], "{report:?}");
    assert!(world.state().differences[0].reason.contains("not a key of this table"));
}

/// Documents of items that were written after the table was read are looked up, and are none too many.
#[tokio::test(start_paused = true)]
async fn b2_an_item_that_is_newer_than_the_scan_is_no_extra_document() {
    let world = world();
    world.state().at_read.insert(2, |state| {
        // After the first segment was read.
        state.put("new0", 1);
        state.put("new1", 1);
        state.index("new0", 1, BEGIN);
        state.index("new1", 1, BEGIN);
    });
    let report = world.verify(None).await;
    assert!(report.is_equal(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_again_stays_a_difference() {
    let world = world();
    world.state().drop_document("k7");
    world.state().refused.push("k7".into());
    let report = world.verify(Some(world.repair())).await;
    assert_eq!(counts(&report), [1, 0, 0, 0, 0], "{report:?}");
    assert!(world.state().differences[0].reason.contains("refused"));
}
