//! Writes to the table: bursts and silences over a few keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::table::Change;
use super::world::World;

/// Writes until it is cancelled. While `slow` is set, about that many milliseconds pass between two writes.
pub(super) async fn write(world: Arc<World>, stop: CancellationToken, slow: Arc<AtomicU64>) {
    let mut dice = Dice::new(world.plan.seed, "workload");
    loop {
        let pause = match slow.load(Ordering::Relaxed) {
            0 => usual_pause(&mut dice),
            slow => dice.millis(1..=slow),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let burst = if dice.chance(10) { dice.within(5..=40) } else { dice.within(1..=3) };
        for _ in 0..burst {
            let key = format!("k{}", dice.index(world.plan.keys));
            world.table().write(&key, change(&mut dice));
            // Creation times are taken by several machines, and go back now and then.
            if dice.chance(5) {
                let (change, back) = (change(&mut dice), dice.within(1..=5));
                world.table().write_back(&key, change, back);
            }
        }
    }
}

fn usual_pause(dice: &mut Dice) -> Duration {
    match dice.index(10) {
        0..5 => dice.millis(1..=1_000),
        5..9 => dice.millis(1_000..=5_000),
        _ => dice.millis(5_000..=30_000),
    }
}

fn change(dice: &mut Dice) -> Change {
    if dice.chance(30) { Change::Remove } else { Change::Put(kind(dice)) }
}

fn kind(dice: &mut Dice) -> &'static str {
    match dice.index(10) {
        0..5 => "a",
        5..9 => "b",
        _ => "none",
    }
}

/// So many changes at once, to keys of one partition.
pub(super) fn flood(world: &World, partition: usize, records: u64) {
    let mut dice = Dice::new(world.plan.seed, "flood");
    let mut table = world.table();
    let keys: Vec<String> = (0..world.plan.keys).map(|key| format!("k{key}")).collect();
    let keys: Vec<&String> = keys.iter().filter(|key| table.is_in(key, partition)).collect();
    if keys.is_empty() {
        return;
    }
    world.reached.note("stream: a thousand records at once");
    for _ in 0..records {
        let key = keys[dice.index(keys.len())];
        table.write(key, change(&mut dice));
    }
}

/// Some changes, a split, and some changes more, at the same moment.
pub(super) fn torn_split(world: &World, which: usize) {
    let mut dice = Dice::new(world.plan.seed, &format!("torn {}", world.time.millis()));
    let mut table = world.table();
    for part in 0..2 {
        for _ in 0..dice.within(1..=6) {
            table.write(&format!("k{}", dice.index(world.plan.keys)), change(&mut dice));
        }
        if part == 0 {
            table.split(which);
        }
    }
    world.reached.note("split: numbers begin again within a second");
}
