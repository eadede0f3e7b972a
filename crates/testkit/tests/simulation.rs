//! The poller in its simulated world. A seed that fails: `cargo xtask simulate --seed S`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::sync::Mutex;

use streamdex_testkit::simulation::{Keep, run, run_all};

/// So many seeds run each time; `cargo xtask simulate --seeds 20000` runs more.
const SEEDS: u64 = 500;

#[test]
fn the_index_equals_the_table_whatever_happens() {
    let failed = Mutex::new(Vec::new());
    run_all(0..SEEDS, |report| {
        if !report.is_success() {
            failed.lock().unwrap().push(report.clone());
        }
    });
    let failed = failed.into_inner().unwrap();
    for report in &failed {
        report.trace.iter().for_each(|line| eprintln!("{line}"));
        eprintln!("{report}");
    }
    let seeds: Vec<u64> = failed.iter().map(|report| report.seed).collect();
    assert!(seeds.is_empty(), "seeds that failed: {seeds:?}");
}

#[test]
fn a_seed_runs_the_same_again() {
    for seed in (0..SEEDS).step_by(41) {
        let (first, second) = (run(seed, Keep::Last), run(seed, Keep::Last));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}");
    }
}
