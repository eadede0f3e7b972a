//! Isolation: what one index, one document or one answer must not do to the others.

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::Compression;
use streamdex_mapping::Action;
use tokio::time::{Instant, sleep};

use super::world::{Fault, World};
use super::{applied, delete, index, many, operation, settings, start, writing};
use crate::classify::PauseReason;
use crate::pause::Scope;
use crate::writer::{Decision, WriterSettings};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> Arc<World> {
    let world = Arc::new(World::default());
    world.with(|state| state.timeouts = (SECOND * 15, SECOND * 60));
    world
}

#[tokio::test(start_paused = true)]
async fn a_red_index_does_not_hold_up_another_one() {
    let world = world();
    world.with(|state| state.red.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let red = writing(&writer, many("a", 90));
    let mut slow = 0;
    for n in 0..200 {
        let began = Instant::now();
        assert_eq!(applied(&writer.write(vec![index("b", &format!("d{n}"))]).await), 1);
        slow += usize::from(began.elapsed() > SECOND);
        sleep(SECOND).await;
    }
    assert!(slow <= 2, "{slow} of 200 writes to a healthy index waited for the red one");
    assert!(!red.is_finished());
    assert_eq!(writer.pauses()[0].reason, PauseReason::Unavailable);
    world.with(|state| state.red.clear());
    assert_eq!(applied(&red.await.unwrap()), 90);
}

#[tokio::test(start_paused = true)]
async fn row_26_a_silent_index_is_paused_alone_while_others_are_answered() {
    let world = world();
    world.with(|state| state.silent.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let silent = writing(&writer, many("a", 30));
    let (mut slow, mut cluster) = (0, 0);
    for n in 0..600 {
        let began = Instant::now();
        assert_eq!(applied(&writer.write(vec![index("b", &format!("d{n}"))]).await), 1);
        slow += usize::from(began.elapsed() > SECOND);
        cluster += usize::from(writer.pauses().iter().any(|pause| pause.scope == Scope::Cluster));
        sleep(SECOND).await;
    }
    assert!(slow <= 2 && cluster == 0, "{slow} slow, {cluster} times the cluster was called silent");
    assert_eq!(writer.pauses()[0].reason, PauseReason::NoAnswer);
    assert!(!silent.is_finished());
    world.with(|state| state.silent.clear());
    assert_eq!(applied(&silent.await.unwrap()), 30);
}

#[tokio::test(start_paused = true)]
async fn row_27_silence_alone_is_the_clusters() {
    let world = world();
    world.with(|state| state.silent.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let all = writing(&writer, many("a", 30));
    sleep(SECOND * 400).await;
    assert!(writer.pauses().iter().any(|pause| pause.scope == Scope::Cluster && pause.reason == PauseReason::NoAnswer));
    world.with(|state| state.silent.clear());
    assert_eq!(applied(&all.await.unwrap()), 30);
}

#[tokio::test(start_paused = true)]
async fn r6_l5_a_delete_after_an_unanswered_attempt_is_sent_once_more_a_minute_later() {
    let world = world();
    world.fault(Fault::LostBefore);
    let (writer, _cancel) = start(&world, settings());
    let first = writing(&writer, vec![index("a", "x"), operation("a", "x", 2, Action::Delete)]);
    let began = Instant::now();
    assert_eq!(first.await.unwrap().len(), 2);
    let key = ("a-000001".to_owned(), "x".to_owned());
    let sent = |world: &World| world.with(|state| state.arrivals[&key].clone());
    let before = sent(&world);
    // The server forgets the tombstone, and the lost request is carried out late.
    world.with(|state| state.documents.insert(key.clone(), (1, true)));
    // It holds nothing back, and nothing else is repeated.
    assert_eq!(applied(&writer.write(many("a", 10)).await), 10);
    sleep(SECOND * 70).await;
    assert_eq!(sent(&world).len(), before.len() + 1);
    assert_eq!(sent(&world).last(), before.last(), "at the same version");
    assert!(!world.with(|state| state.documents[&key].1), "the document is gone again");
    assert!(began.elapsed() > SECOND * 60);
    sleep(SECOND * 200).await;
    assert_eq!(sent(&world).len(), before.len() + 1);
    let stats = writer.stats();
    assert_eq!((stats.decided, stats.unanswered), (12, 1), "it is not counted twice");
}

#[tokio::test(start_paused = true)]
async fn l5_a_delete_that_was_answered_is_sent_once() {
    let world = world();
    let (writer, _cancel) = start(&world, settings());
    writer.write(vec![index("a", "x")]).await;
    writer.write(vec![delete("a", "x")]).await;
    sleep(SECOND * 200).await;
    assert_eq!(world.requests(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_document_with_a_lasting_error_does_not_halt_its_index() {
    let world = world();
    let (writer, _cancel) = start(&world, settings());
    // Alone at first, so that the index pauses for it.
    let crashing = writing(&writer, vec![index("a", "crashing")]);
    sleep(SECOND * 60).await;
    assert_eq!(writer.pauses().len(), 1);
    let began = Instant::now();
    assert_eq!(applied(&writer.write(many("a", 50)).await), 50);
    assert!(began.elapsed() < SECOND * 61, "{:?}", began.elapsed());
    assert!(writer.pauses().is_empty());
    drop(crashing);
}

/// Every request with more than some bytes takes longer than the client waits.
#[tokio::test(start_paused = true)]
async fn large_requests_that_are_not_answered_become_smaller() {
    let world = world();
    let (writer, _cancel) = start(&world, settings());
    let large = |n: usize| {
        operation("a", &format!("d{n}"), 1, Action::Index(vec![b' '; 100_000].into_iter().chain(*b"{}").collect()))
    };
    for _ in 0..2 {
        world.fault(Fault::LostBefore);
        // The probe.
        world.fault(Fault::Slow(SECOND));
    }
    let before = writer.learned();
    assert_eq!(applied(&writer.write((0..20).map(large).collect()).await), 20);
    drop(before);
    let sizes = world.requests();
    let largest_later = sizes.iter().skip(4).max().copied().unwrap_or_default();
    assert!(largest_later < sizes[0], "{sizes:?}");
    // It grows again.
    assert_eq!(applied(&writer.write((20..200).map(large).collect()).await), 180);
    assert_eq!(writer.stats().byte_cap, 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn one_spurious_400_does_not_switch_compression_off_for_good() {
    let world = world();
    let gzip = WriterSettings { compression: Compression::Gzip, ..settings() };
    let (writer, _cancel) = start(&world, gzip);
    world.fault(Fault::Whole(400, "illegal_argument_exception", None));
    assert_eq!(applied(&writer.write(many("a", 10)).await), 10);
    assert_eq!(applied(&writer.write(many("b", 10)).await), 10);
    assert_eq!(world.with(|state| state.plain), 2);
    sleep(SECOND * 601).await;
    assert_eq!(applied(&writer.write(many("c", 10)).await), 10);
    assert_eq!(world.with(|state| state.plain), 2, "it is tried again");
}

#[tokio::test(start_paused = true)]
async fn compression_is_not_given_up_for_a_culprit_that_has_left() {
    let world = world();
    let gzip = WriterSettings { compression: Compression::Gzip, ..settings() };
    let (writer, _cancel) = start(&world, gzip);
    world.fault(Fault::Slow(SECOND));
    let first = writing(&writer, vec![index("b", "x")]);
    sleep(SECOND / 10).await;
    // Two callers in one request; the one with the malformed operation leaves before it is sent again.
    let stays = writing(&writer, many("a", 5));
    let leaves = writing(&writer, vec![index("a", "poison")]);
    sleep(SECOND / 2).await;
    world.fault(Fault::Slow(SECOND));
    leaves.abort();
    assert_eq!(applied(&first.await.unwrap()), 1);
    assert_eq!(applied(&stays.await.unwrap()), 5);
    let plain = world.with(|state| state.plain);
    assert_eq!(applied(&writer.write(many("c", 5)).await), 5);
    assert_eq!(world.with(|state| state.plain), plain, "the next request is compressed");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_a_missing_index_ends_by_itself() {
    let world = world();
    world.with(|state| state.missing.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    assert!(matches!(writer.write(vec![index("a", "x")]).await[..], [Decision::Stopped(_)]));
    assert_eq!(writer.pauses().len(), 1);
    sleep(SECOND * 700).await;
    assert!(writer.pauses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_one_more_failure_is_no_pause() {
    let world = world();
    world.with(|state| state.red.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let all = writing(&writer, many("a", 3));
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    world.with(|state| state.red.clear());
    writer.watch_pauses().wait_for(Vec::is_empty).await.unwrap();
    assert_eq!(applied(&all.await.unwrap()), 3);
    assert_eq!(writer.stats().paused.values().sum::<u64>(), 1);
}
