//! Runs seeds of the simulation: `simulate [--from K] [--seeds N]`, or one of them: `simulate --seed S [--trace]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use streamdex_testkit::simulation::{Keep, run};

struct Arguments {
    from: u64,
    seeds: u64,
    trace: bool,
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

/// On all cores, a runtime each.
fn many(arguments: &Arguments) -> u64 {
    let started = Instant::now();
    let (next, failed, events, hash) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= arguments.seeds {
                return;
            }
            let report = run(arguments.from + number, Keep::Last);
            events.fetch_add(report.events, Ordering::Relaxed);
            hash.fetch_xor(report.hash, Ordering::Relaxed);
            if !report.is_success() {
                failed.fetch_add(1, Ordering::Relaxed);
                println!("{report}\n  replay: cargo xtask simulate --seed {}", report.seed);
            }
            if (number + 1) % 1_000 == 0 {
                eprintln!("{} seeds, {} failed", number + 1, failed.load(Ordering::Relaxed));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner();
    let (seeds, events, hash) = (arguments.seeds, events.into_inner(), hash.into_inner());
    let took = started.elapsed().as_secs_f64();
    println!("{seeds} seeds, {failed} failed, {events} events, hash {hash:016x}, {took:.1} s");
    failed
}
