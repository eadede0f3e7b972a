//! One fault at a time.

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::Compression;
use streamdex_mapping::{Action, Outcome};
use tokio::time::Instant;

use super::world::{Fault, World};
use super::{applied, delete, index, many, operation, read, settings, start, start_again};
use crate::classify::PauseReason;
use crate::pause::Scope;
use crate::writer::{Decision, Fault as Stop, Patience, WriterSettings};

fn one_shot() -> WriterSettings {
    WriterSettings { patience: Patience::one_shot(), ..settings() }
}

#[tokio::test(start_paused = true)]
async fn outcomes_keep_their_positions() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let newer = operation("a", "x", 9, Action::Index("{}".into()));
    writer.write(vec![newer]).await;
    let too_large = operation("a", "big", 1, Action::Index(vec![b' '; streamdex_config::LARGEST_BODY].into()));
    let batch = vec![
        index("a", "x"),
        delete("a", "y"),
        index("unknown", "z"),
        too_large,
        index("a", "unmappable"),
        index("a", "v"),
    ];
    let decisions = writer.write(batch).await;
    assert!(matches!(decisions[0], Decision::Done(Outcome::Superseded)));
    assert!(matches!(decisions[1], Decision::Done(Outcome::Absent)));
    assert!(matches!(&decisions[2], Decision::Stopped(fault) if matches!(**fault, Stop::NotSetUp(_))));
    assert!(matches!(&decisions[3], Decision::Refused(refusal) if refusal.error_type == "document_too_large"));
    assert!(matches!(&decisions[4], Decision::Refused(refusal) if refusal.error_type == "mapper_parsing_exception"));
    assert!(matches!(decisions[5], Decision::Done(Outcome::Applied)));
    assert!(writer.write(Vec::new()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_is_sent_again() {
    let world = Arc::new(World::default());
    world.fault(Fault::Items(vec![1, 3], 429, "rejected_execution_exception"));
    let (writer, _cancel) = start(&world, settings());
    let decisions = writer.write(many("a", 10)).await;
    assert_eq!(applied(&decisions), 10);
    assert_eq!(world.requests(), [10, 2]);
    assert_eq!(writer.stats().retried, 2);
    assert_eq!(writer.stats().overloaded, 2);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_sent_again_for_images_and_read_again_for_reads() {
    for fault in [Fault::LostAfter, Fault::LostBefore, Fault::WrongCount, Fault::Garbage, Fault::Whole(503, "", None)] {
        let world = Arc::new(World::default());
        world.fault(fault.clone());
        let (writer, _cancel) = start(&world, settings());
        let decisions = writer.write(vec![index("a", "image"), read("a", "read")]).await;
        assert!(matches!(decisions[0], Decision::Done(Outcome::Applied)), "{fault:?}");
        assert!(matches!(decisions[1], Decision::ReadAgain), "{fault:?}");
        assert_eq!(world.with(|state| state.documents_seen["read"]), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept() {
    let world = Arc::new(World::default());
    world.fault(Fault::Whole(429, "rejected_execution_exception", Some(Duration::from_secs(20))));
    let (writer, _cancel) = start(&world, settings());
    let start = Instant::now();
    assert_eq!(applied(&writer.write(many("a", 3)).await), 3);
    assert!(start.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn row_14_one_poisoned_operation_among_a_hundred_is_found() {
    for compression in [Compression::None, Compression::Gzip] {
        let world = Arc::new(World::default());
        let (writer, _cancel) = start(&world, WriterSettings { compression, ..settings() });
        let mut operations = many("a", 100);
        operations[37] = index("a", "poison");
        let decisions = writer.write(operations).await;
        assert_eq!(applied(&decisions), 99);
        assert!(matches!(&decisions[37], Decision::Refused(refusal) if refusal.status == Some(400)));
        assert!(world.requests().len() < 25, "{:?}", world.requests());
        assert_eq!(world.live(), 99);
    }
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_read_is_found_among_reads() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let mut open: Vec<_> = (0..40).map(|n| read("a", &format!("d{n}"))).collect();
    open.push(read("a", "poison"));
    let mut refused = 0;
    for _ in 0..30 {
        let decisions = writer.write(open.clone()).await;
        refused += decisions.iter().filter(|decision| matches!(decision, Decision::Refused(_))).count();
        let pairs = open.into_iter().zip(decisions);
        open = pairs.filter(|(_, decision)| matches!(decision, Decision::ReadAgain)).map(|(made, _)| made).collect();
    }
    assert_eq!((refused, open.len(), world.live()), (1, 0, 40));
}

#[tokio::test(start_paused = true)]
async fn when_every_request_is_refused_it_is_a_pause_and_not_the_documents() {
    let world = Arc::new(World::default());
    world.with(|state| state.refuses_all = true);
    let (writer, cancel) = start(&world, settings());
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(many("a", 50)).await }
    });
    let mut pauses = writer.watch_pauses();
    pauses.wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    assert_eq!(writer.pauses()[0].reason, PauseReason::RequestsRefused);
    world.with(|state| state.refuses_all = false);
    let decisions = writing.await.unwrap();
    assert_eq!(applied(&decisions), 50);
    assert!(writer.pauses().is_empty());
    cancel.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_413_divides_and_the_lower_cap_is_remembered() {
    let world = Arc::new(World::default());
    world.with(|state| state.largest = Some(300_000));
    let (writer, _cancel) = start(&world, settings());
    let large = |n: usize| {
        operation("a", &format!("d{n}"), 1, Action::Index(vec![b' '; 100_000].into_iter().chain(*b"{}").collect()))
    };
    let decisions = writer.write((0..9).map(large).collect()).await;
    assert_eq!(applied(&decisions), 9);
    let before = world.requests().len();
    assert!(writer.stats().byte_cap <= 500_000);
    assert_eq!(applied(&writer.write((10..19).map(large).collect()).await), 9);
    let divided = world.requests().len() - before;
    assert!(divided <= 9, "{:?}", world.requests());
    let alone = operation("a", "alone", 1, Action::Index(vec![b' '; 400_000].into_iter().chain(*b"{}").collect()));
    let decisions = writer.write(vec![alone, index("a", "small")]).await;
    assert!(matches!(&decisions[0], Decision::Refused(refusal) if refusal.status == Some(413)));
    assert_eq!(applied(&decisions), 1);
}

#[tokio::test(start_paused = true)]
async fn compression_is_given_up_where_it_is_refused() {
    let world = Arc::new(World::default());
    world.with(|state| state.refuses_gzip = true);
    let (writer, _cancel) = start(&world, WriterSettings { compression: Compression::Gzip, ..settings() });
    assert_eq!(applied(&writer.write(many("a", 10)).await), 10);
    assert_eq!(world.requests(), [10, 10]);
    assert_eq!(applied(&writer.write(many("a", 10)).await), 10);
    assert_eq!(world.requests(), [10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_index_holds_back_only_its_own_operations() {
    let world = Arc::new(World::default());
    world.with(|state| state.blocked.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let blocked = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(many("a", 60)).await }
    });
    let mut pauses = writer.watch_pauses();
    pauses.wait_for(|pauses| !pauses.is_empty()).await.unwrap();
    let pause = writer.pauses().remove(0);
    assert_eq!(
        (pause.reason, matches!(&pause.scope, Scope::Index(name) if name.as_str() == "a")),
        (PauseReason::ReadOnly, true)
    );
    assert_eq!(applied(&writer.write(many("b", 60)).await), 60);
    tokio::time::sleep(Duration::from_secs(300)).await;
    // Probes are small and rare.
    let requests = world.requests();
    assert!(requests.len() < 60 && requests.iter().skip(3).all(|size| *size == 1), "{requests:?}");
    world.with(|state| state.blocked.clear());
    assert_eq!(applied(&blocked.await.unwrap()), 60);
    assert!(writer.pauses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_refreshed_until_they_are_accepted() {
    let world = Arc::new(World::default());
    world.with(|state| state.refuse_credentials = true);
    let (writer, _cancel) = start(&world, settings());
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(many("a", 20)).await }
    });
    let mut pauses = writer.watch_pauses();
    pauses.wait_for(|pauses| pauses.iter().any(|pause| pause.scope == Scope::Credentials)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(world.with(|state| state.refreshed) >= 3);
    world.with(|state| state.refuse_credentials = false);
    assert_eq!(applied(&writing.await.unwrap()), 20);
    assert!(writer.pauses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_shot_commands_stop_for_refused_credentials() {
    let world = Arc::new(World::default());
    world.with(|state| state.refuse_credentials = true);
    let (writer, _cancel) = start(&world, one_shot());
    let start = Instant::now();
    let decisions = writer.write(many("a", 20)).await;
    for decision in &decisions {
        assert!(
            matches!(decision, Decision::Stopped(fault) if matches!(&**fault, Stop::Paused(pause) if pause.scope == Scope::Credentials))
        );
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(world.with(|state| state.refreshed), 1);
}

#[tokio::test(start_paused = true)]
async fn one_shot_commands_give_up_when_nothing_is_decided() {
    let world = Arc::new(World::default());
    world.with(|state| state.unreachable = true);
    let (writer, _cancel) = start(&world, one_shot());
    let begin = Instant::now();
    let decisions = writer.write(many("a", 20)).await;
    assert!(
        matches!(&decisions[0], Decision::Stopped(fault) if fault.to_string().contains("cannot be reached") && !fault.hint().is_empty())
    );
    assert_eq!(begin.elapsed().as_secs(), 10);
    world.with(|state| state.unreachable = false);
    assert_eq!(applied(&writer.write(many("a", 20)).await), 20);
    world.with(|state| state.blocked.insert("a-000001".into()));
    let begin = Instant::now();
    assert!(matches!(writer.write(many("a", 5)).await[4], Decision::Stopped(_)));
    assert_eq!(begin.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_cluster_is_probed_with_one_operation() {
    let world = Arc::new(World::default());
    world.with(|state| state.unreachable = true);
    let (writer, _cancel) = start(&world, settings());
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(many("a", 90)).await }
    });
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(writer.pauses()[0].reason, PauseReason::Unreachable);
    let requests = world.requests();
    assert!(requests.len() < 100 && requests.iter().skip(1).all(|size| *size == 1), "{requests:?}");
    world.with(|state| state.unreachable = false);
    assert_eq!(applied(&writing.await.unwrap()), 90);
}

#[tokio::test(start_paused = true)]
async fn a_missing_index_is_told_at_once() {
    let world = Arc::new(World::default());
    world.with(|state| state.missing.insert("a-000001".into()));
    let (writer, _cancel) = start(&world, settings());
    let decisions = writer.write(vec![index("a", "x"), index("b", "y")]).await;
    assert!(matches!(&decisions[0], Decision::Stopped(fault) if matches!(**fault, Stop::IndexMissing { .. })));
    assert_eq!(applied(&decisions), 1);
    assert_eq!(writer.pauses()[0].reason, PauseReason::IndexMissing);
    world.with(|state| state.missing.clear());
    assert_eq!(applied(&writer.write(vec![index("a", "x")]).await), 1);
    assert!(writer.pauses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_old_read_is_read_again_and_not_sent() {
    let world = Arc::new(World::default());
    world.fault(Fault::Slow(Duration::from_secs(31)));
    let (writer, _cancel) = start(&world, WriterSettings { max_concurrent_requests: 1, ..settings() });
    let first = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(vec![index("a", "slow")]).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let decisions = writer.write(vec![read("a", "old"), index("a", "image")]).await;
    assert!(matches!(decisions[0], Decision::ReadAgain));
    assert!(matches!(decisions[1], Decision::Done(Outcome::Applied)));
    assert_eq!(world.with(|state| state.documents_seen.get("old").copied()), None);
    first.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn operations_wait_for_company_only_behind_a_request() {
    let world = Arc::new(World::default());
    let (writer, _cancel) = start(&world, settings());
    let begin = Instant::now();
    assert_eq!(applied(&writer.write(vec![index("a", "alone")]).await), 1);
    assert_eq!(begin.elapsed(), Duration::from_millis(20), "nothing is in flight, so nothing is waited for");
    let writes: Vec<_> = (0..10)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(vec![index("a", &format!("d{n}"))]).await })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    assert!(world.requests().len() <= 3, "{:?}", world.requests());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_at_cancellation_is_waited_for() {
    let world = Arc::new(World::default());
    world.fault(Fault::Slow(Duration::from_secs(5)));
    let (writer, cancel) = start(&world, WriterSettings { max_concurrent_requests: 1, ..settings() });
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(many("a", 150)).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    cancel.cancel();
    let decisions = writing.await.unwrap();
    assert_eq!(applied(&decisions), 100);
    assert!(decisions.iter().skip(100).all(|decision| matches!(decision, Decision::Stopped(_))));
    writer.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_outlasts_the_grace_is_given_up() {
    let world = Arc::new(World::default());
    world.fault(Fault::Slow(Duration::from_secs(50)));
    let (writer, cancel) = start(&world, settings());
    let writing = tokio::spawn({
        let writer = writer.clone();
        async move { writer.write(many("a", 10)).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    cancel.cancel();
    assert!(writing.await.unwrap().iter().all(|decision| matches!(decision, Decision::Stopped(_))));
    writer.ended().await;
    assert_eq!(begin.elapsed(), Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_not_sent_any_more() {
    let world = Arc::new(World::default());
    world.with(|state| state.unreachable = true);
    let (writer, _cancel) = start(&world, settings());
    let gone = tokio::time::timeout(Duration::from_secs(60), writer.write(many("a", 10))).await;
    assert!(gone.is_err());
    world.with(|state| state.unreachable = false);
    assert_eq!(applied(&writer.write(many("a", 3)).await), 3);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.live(), 3);
    assert_eq!(writer.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_by_bytes() {
    let world = Arc::new(World::default());
    world.with(|state| state.unreachable = true);
    let (writer, _cancel) = start(&world, WriterSettings { memory: 64 * 1024, ..settings() });
    let large = |n: usize| {
        operation("a", &format!("d{n}"), 1, Action::Index(vec![b' '; 30_000].into_iter().chain(*b"{}").collect()))
    };
    let writes: Vec<_> = (0..6)
        .map(|n| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(vec![large(n)]).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(writer.stats().waiting <= 2);
    world.with(|state| state.unreachable = false);
    for write in writes {
        assert_eq!(applied(&write.await.unwrap()), 1);
    }
}

#[derive(Debug, Default)]
struct Revocable(tokio_util::sync::CancellationToken);

#[async_trait::async_trait]
impl crate::writer::Permit for Revocable {
    fn is_granted(&self) -> bool {
        !self.0.is_cancelled()
    }

    async fn revoked(&self) {
        self.0.cancelled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_permit_ends_what_is_in_flight_and_what_waits_and_nothing_else() {
    let world = Arc::new(World::default());
    world.fault(Fault::Slow(Duration::from_secs(30)));
    let (writer, _cancel) = start(&world, WriterSettings { max_concurrent_requests: 1, ..settings() });
    let permit = Arc::new(Revocable::default());
    let began = Instant::now();
    let others = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        writer.write(many("b", 3)).await
    };
    let revoke = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        permit.0.cancel();
    };
    let (decisions, others, ()) = tokio::join!(writer.write_under(many("a", 5), permit.clone()), others, revoke);
    assert!(
        decisions
            .iter()
            .all(|decision| matches!(decision, Decision::Stopped(fault) if matches!(**fault, Stop::Cancelled)))
    );
    assert_eq!(applied(&others), 3);
    assert!(began.elapsed() < Duration::from_secs(2), "the request in flight was given up: {:?}", began.elapsed());
    assert_eq!(world.requests(), [5, 3], "nothing of it was sent again");
    assert_eq!(writer.write_under(many("a", 2), permit).await.len(), 2);
    assert_eq!(world.requests(), [5, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_one_writer_learned_the_next_one_knows() {
    let world = Arc::new(World::default());
    world.with(|state| state.refuses_gzip = true);
    let gzip = WriterSettings { compression: Compression::Gzip, seed: None, ..settings() };
    let (writer, cancel) = start(&world, gzip.clone());
    assert_eq!(applied(&writer.write(many("a", 10)).await), 10);
    cancel.cancel();
    writer.ended().await;
    let (writer, _cancel) = start_again(&world, gzip, writer.learned());
    assert_eq!(applied(&writer.write(many("a", 10)).await), 10);
    assert_eq!(world.requests(), [10, 10, 10], "the second writer sends without compression at once");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_any_size_is_capped_at_the_longest_retry() {
    for asked in [86_400, u64::MAX] {
        let world = Arc::new(World::default());
        world.fault(Fault::Whole(503, "", Some(Duration::from_secs(asked))));
        let (writer, _cancel) = start(&world, settings());
        let start = Instant::now();
        assert_eq!(applied(&writer.write(many("a", 3)).await), 3);
        assert!(start.elapsed() < Duration::from_secs(31), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_the_owner() {
    let world = Arc::new(World::default());
    world.fault(Fault::Panic);
    let (writer, _cancel) = start(&world, settings());
    assert!(!writer.is_broken());
    let decisions = writer.write(many("a", 3)).await;
    assert!(decisions.iter().all(|decision| matches!(decision, Decision::Stopped(_))));
    tokio::time::timeout(Duration::from_secs(1), writer.broken()).await.unwrap();
    assert!(writer.is_broken());
    assert!(matches!(writer.write(many("a", 1)).await[..], [Decision::Stopped(_)]));

    let (writer, cancel) = start(&Arc::new(World::default()), settings());
    assert_eq!(applied(&writer.write(many("a", 3)).await), 3);
    cancel.cancel();
    writer.ended().await;
    assert!(!writer.is_broken(), "a writer that is cancelled is not broken");
}
