//! Requests that are refused whole with one operation in them: rows 15 to 22 of the table of docs/adr/0009-brake.md.

use std::sync::Arc;

use streamdex_mapping::{Action, Operation};
use tokio::time::{Instant, sleep};

use super::doubt::{SECOND, function, is_open, named, undecided};
use super::world::{Fault, World};
use super::{applied, index, many, operation, refused, settings, start, start_again, writing};
use crate::classify::PauseReason;
use crate::writer::Decision;

fn without_probes() -> Arc<World> {
    let world = Arc::new(World::default());
    world.with(|state| state.loses_probes = true);
    world
}

#[tokio::test(start_paused = true)]
async fn row_15_a_lone_operation_is_a_dead_letter_once_a_request_is_accepted_after_it() {
    let world = without_probes();
    let (writer, _cancel) = start(&world, settings());
    let poison = writing(&writer, vec![index("a", "poison")]);
    sleep(SECOND * 10).await;
    assert!(is_open(&poison));
    assert_eq!(applied(&writer.write(vec![index("b", "good")]).await), 1);
    assert_eq!(refused(&poison.await.unwrap()), 1);
}

#[tokio::test(start_paused = true)]
async fn row_15_the_probe_of_bulk_is_a_request_that_is_accepted() {
    for settings in [settings(), function()] {
        let world = Arc::new(World::default());
        let (writer, _cancel) = start(&world, settings);
        let began = Instant::now();
        assert_eq!(refused(&writer.write(vec![index("a", "poison")]).await), 1);
        assert!(began.elapsed() < SECOND);
        // The writer knows it now, and asks no more.
        assert_eq!(refused(&writer.write(vec![index("a", "poison-2")]).await), 1);
        assert_eq!(world.requests().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn row_16_a_lone_operation_is_a_dead_letter_where_a_request_was_accepted_before_it() {
    let world = without_probes();
    let (writer, cancel) = start(&world, function());
    assert_eq!(applied(&writer.write(vec![index("b", "good")]).await), 1);
    cancel.cancel();
    let (writer, _cancel) = start_again(&world, function(), writer.learned());
    assert_eq!(refused(&writer.write(vec![index("a", "poison")]).await), 1);

    let (writer, _cancel) = start(&world, settings());
    assert_eq!(applied(&writer.write(vec![index("b", "good-2")]).await), 1);
    let began = Instant::now();
    assert_eq!(refused(&writer.write(vec![index("a", "poison")]).await), 1);
    assert!(began.elapsed() < SECOND * 4);
}

#[tokio::test(start_paused = true)]
async fn row_17_a_lone_operation_without_any_acceptance_is_sent_again_or_given_back() {
    let world = without_probes();
    let (writer, _cancel) = start(&world, settings());
    let poison = writing(&writer, vec![index("a", "poison")]);
    sleep(SECOND * 300).await;
    assert!(is_open(&poison));
    assert_eq!(writer.pauses()[0].reason, PauseReason::RequestsRefused);
    world.with(|state| state.loses_probes = false);
    assert_eq!(refused(&poison.await.unwrap()), 1);
    let world = without_probes();
    let (writer, _cancel) = start(&world, function());
    assert_eq!(undecided(&writer.write(vec![index("a", "poison")]).await), 1);
}

#[tokio::test(start_paused = true)]
async fn row_18_where_every_request_is_refused_nothing_is_a_dead_letter() {
    for settings in [settings(), function()] {
        let world = Arc::new(World::default());
        world.with(|state| state.refuses_all = true);
        let (writer, _cancel) = start(&world, settings);
        let all = writing(&writer, many("a", 30));
        sleep(SECOND * 300).await;
        assert_eq!(writer.pauses()[0].reason, PauseReason::RequestsRefused);
        assert!(is_open(&all));
        world.with(|state| state.refuses_all = false);
        assert_eq!(applied(&all.await.unwrap()), 30);
    }
}

fn large(id: &str, bytes: usize) -> Operation {
    operation("a", id, 1, Action::Index(vec![b' '; bytes].into_iter().chain(*b"{}").collect()))
}

#[tokio::test(start_paused = true)]
async fn row_19_a_lone_413_is_the_documents_fault_where_a_smaller_one_is_accepted() {
    let world = Arc::new(World::default());
    world.with(|state| state.largest = Some(10_000));
    let (writer, _cancel) = start(&world, settings());
    let decisions = writer.write(vec![large("big", 20_000), index("a", "small")]).await;
    assert_eq!((applied(&decisions), refused(&decisions)), (1, 1));
    let Decision::Refused(refusal) = &decisions[0] else { panic!("{decisions:?}") };
    assert_eq!(refusal.error_type, "document_too_large");
    // Alone, it is sent twice, with a probe of `_bulk` in between.
    for settings in [settings(), function()] {
        let world = Arc::new(World::default());
        world.with(|state| state.largest = Some(10_000));
        let (writer, _cancel) = start(&world, settings);
        assert_eq!(refused(&writer.write(vec![large("big", 20_000)]).await), 1);
        assert_eq!(world.requests().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn row_20_a_lone_413_is_sent_again_where_a_larger_one_is_accepted() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    assert_eq!(applied(&writer.write(vec![large("big", 20_000)]).await), 1);
    world.fault(Fault::Whole(413, "", None));
    assert_eq!(applied(&writer.write(vec![index("a", "small")]).await), 1);
    // And where the larger one comes after it.
    let (writer, _cancel) = start(&world, settings());
    world.fault(Fault::Whole(413, "", None));
    let small = writing(&writer, vec![index("a", "small-2")]);
    sleep(SECOND / 10).await;
    assert_eq!(applied(&writer.write(vec![large("big-2", 20_000)]).await), 1);
    assert_eq!(applied(&small.await.unwrap()), 1);
}

#[tokio::test(start_paused = true)]
async fn row_21_a_413_to_everything_is_a_pause_and_no_document_is_too_large() {
    for settings in [settings(), function()] {
        let world = Arc::new(World::default());
        world.with(|state| state.largest = Some(10));
        let (writer, _cancel) = start(&world, settings);
        let all = writing(&writer, many("a", 200));
        writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
        assert_eq!(writer.pauses()[0].to_string(), "cluster: OpenSearch refuses every request (http_413)");
        sleep(SECOND * 300).await;
        assert!(is_open(&all));
        world.with(|state| state.largest = None);
        assert_eq!(applied(&all.await.unwrap()), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn row_21_one_small_document_that_is_refused_with_413_is_not_too_large() {
    let world = Arc::new(World::default());
    world.with(|state| state.largest = Some(10));
    let (writer, _cancel) = start(&world, settings());
    let one = writing(&writer, vec![index("a", "x")]);
    sleep(SECOND * 900).await;
    assert!(is_open(&one));
    world.with(|state| state.largest = None);
    assert_eq!(applied(&one.await.unwrap()), 1);
    // The function gets it back.
    world.with(|state| state.largest = Some(10));
    let (writer, _cancel) = start(&world, function());
    assert_eq!(undecided(&writer.write(vec![index("a", "y")]).await), 1);
}

#[tokio::test(start_paused = true)]
async fn row_22_a_firewall_that_refuses_one_body_refuses_one_document() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let mut batch = many("a", 50);
    batch[20] = index("a", "injection");
    let decisions = writer.write(batch).await;
    assert_eq!((applied(&decisions), refused(&decisions)), (49, 1));
    let Decision::Refused(refusal) = &decisions[20] else { panic!("{:?}", decisions[20]) };
    assert_eq!((refusal.error_type.as_str(), refusal.status), ("http_403", Some(403)));
    assert!(writer.pauses().is_empty() && world.with(|state| state.refreshed) == 0);
    // One that refuses all is a matter of credentials, for all that is known.
    let all = writing(&writer, named("a", "injection", 30));
    writer.watch_pauses().wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    assert_eq!(writer.pauses()[0].reason, PauseReason::CredentialsRefused);
    sleep(SECOND * 10).await;
    assert!(is_open(&all) && world.with(|state| state.refreshed) > 0);
}
