//! The real function under a model of the event source mapping and random faults: for every seed the index equals the
//! table, and what the mapping gave up on heals the rest when it is sent again.
//!
//! A seed has its own table partition and index. Requests are delayed, refused and cut, sandboxes are killed,
//! answers get lost, records are broken; batches run out of attempts and land in the bucket.

mod compare;
mod faults;
mod plan;
mod run;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::future::join_all;

use self::plan::{Kind, kind_of};
use self::run::{Line, Totals};
use super::function::Bench;

const SEEDS: u64 = 200;
/// Runs this seed alone.
const SEED: &str = "STREAMDEX_SEED";
/// So many seeds of each kind at once: they wait more than they work.
const LINES: [(Kind, usize); 2] = [(Kind::Moving, 6), (Kind::Staying, 2)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_faults_the_index_equals_the_table_and_redrives_heal_what_was_given_up() {
    let given: Option<u64> = std::env::var(SEED).ok().map(|seed| seed.parse().expect("STREAMDEX_SEED is a number"));
    let seeds = given.map_or(0..SEEDS, |seed| seed..seed + 1);
    let begun = Instant::now();
    let next = LINES.map(|_| AtomicU64::new(seeds.start));
    let line = async |kind: Kind, next: &AtomicU64| {
        let mut totals = Totals::default();
        let mut line = Line::new(Bench::new().await?, kind).await;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return Some(totals);
            }
            if kind_of(seed) == kind {
                let _told = Told(seed);
                totals.add(line.run(seed).await);
            }
        }
    };
    let lines = LINES.iter().zip(&next).flat_map(|((kind, count), next)| (0..*count).map(|_| line(*kind, next)));
    let totals: Vec<Option<Totals>> = join_all(lines).await;
    let mut sum = Totals::default();
    for totals in totals {
        let Some(totals) = totals else { return };
        sum.add(totals);
    }
    println!("{} seeds in {:?}: {sum:?}", seeds.end - seeds.start, begun.elapsed());
    if given.is_none() {
        assert!(sum.crashes > 0 && sum.given_up > 0 && sum.letters > 0 && sum.partial > 0, "too tame: {sum:?}");
    }
}

/// Names the seeds that were under way when one failed.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("under way: run it again with {SEED}={}", self.0);
        }
    }
}
