//! The poller in its simulated world. A seed that fails: `cargo xtask simulate --seed S`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use streamdex_testkit::simulation::{Keep, Report, run};

/// So many seeds run each time; `cargo xtask simulate --seeds 20000` runs more.
const SEEDS: u64 = 500;

/// On all cores; the seeds that failed.
fn run_all(seeds: impl Iterator<Item = u64>) -> Vec<Report> {
    let seeds: Vec<u64> = seeds.collect();
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
            let Some(seed) = seeds.get(place) else { return };
            let report = run(*seed, Keep::Last);
            if !report.is_success() {
                failed.lock().unwrap().push(report);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap()
}

fn expect_success(failed: &[Report]) {
    for report in failed {
        report.trace.iter().for_each(|line| eprintln!("{line}"));
        eprintln!("{report}\n  replay: cargo xtask simulate --seed {}", report.seed);
    }
    let seeds: Vec<u64> = failed.iter().map(|report| report.seed).collect();
    assert!(seeds.is_empty(), "seeds that failed: {seeds:?}");
}

#[test]
fn the_index_equals_the_table_whatever_happens() {
    expect_success(&run_all(0..SEEDS));
}

#[test]
fn a_seed_runs_the_same_again() {
    for seed in (0..SEEDS).step_by(41) {
        let (first, second) = (run(seed, Keep::Last), run(seed, Keep::Last));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}");
    }
}
