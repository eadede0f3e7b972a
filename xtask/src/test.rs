//! `cargo xtask test`: tidy, then everything that runs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;
use streamdex_testkit::engines::target_folder;
use streamdex_testkit::report;

use crate::failures::Failures;
use crate::step::cargo;
use crate::summary::{Counts, Summary};
use crate::{engines, tidy};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run the tests only.
    #[arg(long)]
    no_tidy: bool,
    /// What to test in place of the whole workspace, as `-p streamdex-mapping NAME`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Whether everything passed.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let tidy = options.no_tidy || tidy::run();
    engines::fetch_all()?;
    report::clear().context("clearing the test reports")?;
    let (tests, failures) = run_tests(&options.arguments)?;
    let entries = report::read().context("reading the test reports")?;
    let summary = Summary::new(tests, &entries);
    print!("{failures}");
    match failures.unnamed(tests.failed) {
        0 => {}
        unnamed => println!("── {unnamed} failed without a message: look for `error:` and `signal:` above"),
    }
    println!("── engines, and the tests that ran on them");
    print!("{summary}");
    println!("   {} s in all", begun.elapsed().as_secs());
    if !tidy {
        println!("   tidy failed: see above");
    }
    println!("{}", summary.last_line());
    Ok(tidy && summary.passed())
}

/// Runs all tests, doc tests included, shows their output, counts, and keeps what failed.
fn run_tests(arguments: &[String]) -> anyhow::Result<(Counts, Failures)> {
    println!("── cargo test");
    let mut command = cargo(&["test", "--no-fail-fast"]);
    match arguments {
        // The whole workspace includes the programs, so the end-to-end tests need not build them once more.
        [] => command
            .args(["--workspace", "--features", "streamdex-testkit/simulation"])
            .env("STREAMDEX_BINARY", target_folder().join("debug/streamdex"))
            .env("STREAMDEX_BOOTSTRAP", target_folder().join("debug/bootstrap"))
            .env("STREAMDEX_PLAYGROUND", target_folder().join("debug/streamdex-playground")),
        arguments => command.args(arguments),
    };
    command.stdout(Stdio::piped());
    let mut child = command.spawn().context("starting cargo test")?;
    let output = child.stdout.take().context("the output of cargo test")?;
    let (mut counts, mut failures) = (Counts::default(), Failures::default());
    for line in BufReader::new(output).lines() {
        let line = line.context("reading the output of cargo test")?;
        counts.add(&line);
        failures.add(&line);
        println!("{line}");
    }
    let status = child.wait().context("waiting for cargo test")?;
    if !status.success() {
        // Also a test that does not compile, or a test program that was killed, is a failure.
        counts.failed = counts.failed.max(1);
    }
    Ok((counts, failures))
}
