//! The poller in its simulated world. A seed that fails: `cargo xtask simulate --seed S`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use streamdex_testkit::simulation::{Report, run_all};

/// So many seeds run each time; `cargo xtask simulate --seeds 20000` runs more.
const SEEDS: u64 = 500;
/// So many of them run twice.
const AGAIN: u64 = 100;

#[test]
fn the_index_equals_the_table_whatever_happens_and_a_seed_runs_the_same_again() {
    let first = reports(SEEDS);
    let failed: Vec<&Report> = first.values().filter(|report| !report.is_success()).collect();
    for report in &failed {
        report.trace.iter().for_each(|line| eprintln!("{line}"));
        eprintln!("{report}");
    }
    let seeds: Vec<u64> = failed.iter().map(|report| report.seed).collect();
    assert!(seeds.is_empty(), "seeds that failed: {seeds:?}");

    // What waits for the same thing must wake in one order: `tokio::sync::watch` does not keep it.
    let other = reports(AGAIN).into_values().filter(|again| again.hash != first[&again.seed].hash);
    let seeds: Vec<u64> = other.map(|report| report.seed).collect();
    assert!(seeds.is_empty(), "seeds that ran otherwise the second time: {seeds:?}");
}

fn reports(seeds: u64) -> BTreeMap<u64, Report> {
    let reports = Mutex::new(BTreeMap::new());
    run_all(0..seeds, |report| {
        reports.lock().unwrap().insert(report.seed, report.clone());
    });
    reports.into_inner().unwrap()
}
