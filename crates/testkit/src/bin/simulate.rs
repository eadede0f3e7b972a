//! Runs seeds of the simulation: `simulate [--from K] [--seeds N]`, or one of them: `simulate --seed S [--trace]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use streamdex_testkit::simulation::{Keep, Report, run, run_all};

struct Arguments {
    from: u64,
    seeds: u64,
    trace: bool,
}

/// Of the seeds so far.
#[derive(Default)]
struct Totals {
    seeds: u64,
    failed: u64,
    events: u64,
    hash: u64,
    /// How many seeds met each kind of weather.
    reached: BTreeMap<&'static str, u64>,
}

fn main() -> ExitCode {
    let Some(arguments) = read(std::env::args().skip(1)) else {
        eprintln!("usage: simulate [--from K] [--seeds N] | --seed S [--trace]");
        return ExitCode::from(2);
    };
    let failed = if arguments.seeds == 1 { one(&arguments) } else { many(&arguments) };
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(mut given: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { from: 0, seeds: 500, trace: false };
    while let Some(name) = given.next() {
        match name.as_str() {
            "--from" => arguments.from = given.next()?.parse().ok()?,
            "--seeds" => arguments.seeds = given.next()?.parse().ok()?,
            "--seed" => {
                arguments.from = given.next()?.parse().ok()?;
                arguments.seeds = 1;
            }
            "--trace" => arguments.trace = true,
            _ => return None,
        }
    }
    Some(arguments)
}

fn one(arguments: &Arguments) -> u64 {
    let keep = if arguments.trace { Keep::All } else { Keep::Last };
    let report = run(arguments.from, keep);
    if arguments.trace || !report.is_success() {
        report.trace.iter().for_each(|line| println!("{line}"));
    }
    println!("{report}");
    u64::from(!report.is_success())
}

fn many(arguments: &Arguments) -> u64 {
    let started = Instant::now();
    let totals = Mutex::new(Totals::default());
    run_all(arguments.from..arguments.from.saturating_add(arguments.seeds), |report| {
        totals.lock().unwrap_or_else(PoisonError::into_inner).add(report);
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Totals { seeds, failed, events, hash, reached } = totals;
    for (kind, count) in reached {
        println!("{count:>8}  {kind}");
    }
    let took = started.elapsed().as_secs_f64();
    println!("{seeds} seeds, {failed} failed, {events} events, hash {hash:016x}, {took:.1} s");
    failed
}

impl Totals {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.events += report.events;
        self.hash ^= report.hash;
        for kind in &report.reached {
            *self.reached.entry(kind).or_default() += 1;
        }
        if !report.is_success() {
            self.failed += 1;
            println!("{report}");
        }
        if self.seeds.is_multiple_of(1_000) {
            eprintln!("{} seeds, {} failed", self.seeds, self.failed);
        }
    }
}
