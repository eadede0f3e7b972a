//! Seeded runs under every fault at once.

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::Compression;
use streamdex_mapping::{Action, Operation, Origin};

use super::world::{ORDERED, POISON, UNMAPPABLE, World};
use super::{operation, settings, start};
use crate::writer::{BulkWriter, Decision};

const SEEDS: u64 = 20;
const CALLERS: u64 = 4;
const ROUNDS: u32 = 8;
/// Documents from reads: they come back to be read again, and then do not arrive in order.
const READ: &str = "read";

/// What a caller expects to find in the end: the newest version, and whether it is a document.
type Expected = Vec<(String, u64, bool)>;

/// Some operations, a document up to twice in a row, with ever newer versions.
fn batch(random: &mut fastrand::Rng, caller: u64, round: u32) -> Vec<Operation> {
    let mut operations = Vec::new();
    for document in 0..random.u32(1..120) {
        let id = match random.u8(..60) {
            0 => format!("{POISON}-{caller}-{round}-{document}"),
            1 => format!("{UNMAPPABLE}-{caller}-{round}-{document}"),
            2..12 => format!("{READ}-{caller}-{document}"),
            _ => format!("{ORDERED}-{caller}-{document}"),
        };
        let index = if document % 3 == 0 { "b" } else { "a" };
        for step in 0..random.u32(1..3) {
            let action = if random.u8(..4) == 0 { Action::Delete } else { Action::Index("{}".into()) };
            let mut made = operation(index, &id, round * 10 + step + 1, action);
            if id.starts_with(READ) {
                made.origin = Origin::Read { at: 0 };
            }
            operations.push(made);
        }
    }
    operations
}

/// Writes until all is decided: what is to be read again is handed in again.
async fn write_all(writer: &BulkWriter, mut operations: Vec<Operation>) {
    while !operations.is_empty() {
        let decisions = writer.write(operations.clone()).await;
        assert_eq!(decisions.len(), operations.len(), "one decision for each operation");
        let mut again = Vec::new();
        for (made, decision) in operations.into_iter().zip(decisions) {
            let id = made.address.id.as_str();
            let refusable = id.starts_with(POISON) || id.starts_with(UNMAPPABLE);
            match decision {
                Decision::Done(_) => assert!(!refusable || made.action == Action::Delete, "{id} was applied"),
                Decision::Refused(refusal) => {
                    assert!(refusable, "{id} was refused: {refusal:?}");
                    assert!(!format!("{refusal:?}").contains("S3CRET"));
                }
                Decision::ReadAgain => {
                    assert!(matches!(made.origin, Origin::Read { .. }));
                    again.push(made);
                }
                Decision::Stopped(fault) => panic!("stopped: {fault}"),
            }
        }
        operations = again;
    }
}

async fn caller(writer: BulkWriter, seed: u64, caller: u64) -> Expected {
    let mut random = fastrand::Rng::with_seed(seed * 1000 + caller);
    let mut expected = std::collections::BTreeMap::new();
    for round in 0..ROUNDS {
        let operations = batch(&mut random, caller, round);
        for made in &operations {
            let id = made.address.id.as_str();
            if id.starts_with(ORDERED) || id.starts_with(READ) {
                expected.insert(id.to_owned(), (made.version.get(), made.action != Action::Delete));
            }
        }
        write_all(&writer, operations).await;
        if random.bool() {
            tokio::time::sleep(Duration::from_millis(random.u64(..3000))).await;
        }
    }
    expected.into_iter().map(|(id, (version, live))| (id, version, live)).collect()
}

async fn run(seed: u64) {
    let world = Arc::new(World::default());
    world.with(|state| {
        state.chance = Some(fastrand::Rng::with_seed(seed));
        state.largest = seed.is_multiple_of(3).then_some(4000);
    });
    let mut settings = settings();
    settings.seed = Some(seed);
    if seed.is_multiple_of(2) {
        settings.compression = Compression::Gzip;
    }
    let (writer, cancel) = start(&world, settings);
    let callers: Vec<_> = (0..CALLERS).map(|n| tokio::spawn(caller(writer.clone(), seed, n))).collect();
    let mut expected = Vec::new();
    for caller in callers {
        expected.extend(caller.await.unwrap());
    }
    let known = world.with(|state| state.documents.clone());
    for (id, version, live) in expected {
        let found = ["a", "b"].iter().find_map(|index| known.get(&(format!("{index}-000001"), id.clone())));
        assert_eq!(found, Some(&(version, live)), "document {id}, seed {seed}");
    }
    assert!(world.with(|state| state.most_in_flight) <= 4);
    cancel.cancel();
    writer.ended().await;
    assert_eq!(writer.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn every_operation_is_decided_once_and_the_index_is_right() {
    for seed in 0..SEEDS {
        run(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cancellation_at_any_moment_leaves_nothing_undecided() {
    for seed in 0..SEEDS {
        let world = Arc::new(World::default());
        world.with(|state| state.chance = Some(fastrand::Rng::with_seed(seed)));
        let (writer, cancel) = start(&world, settings());
        let mut random = fastrand::Rng::with_seed(seed);
        let operations = batch(&mut random, 0, 1);
        let count = operations.len();
        let writing = tokio::spawn({
            let writer = writer.clone();
            async move { writer.write(operations).await }
        });
        tokio::time::sleep(Duration::from_millis(random.u64(..4000))).await;
        cancel.cancel();
        assert_eq!(writing.await.unwrap().len(), count, "seed {seed}");
        writer.ended().await;
        assert!(matches!(writer.write(batch(&mut random, 1, 1)).await[0], Decision::Stopped(_)));
    }
}
