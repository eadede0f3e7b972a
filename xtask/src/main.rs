//! Workspace tasks: what a developer and CI run.
//!
//! | task | does |
//! |---|---|
//! | `cargo xtask bench` | measurements, each beside a reference of the same run |
//! | `cargo xtask book` | the pages of `docs/` as one site |
//! | `cargo xtask circles` | the part of tidy that looks for files that import each other |
//! | `cargo xtask demo` | a table kept equal to an index, live, on engines that it fetches and starts |
//! | `cargo xtask dist` | archives of the command line tool, for two architectures |
//! | `cargo xtask dry-run` | what a release builds, and what a user does with it, on this machine |
//! | `cargo xtask notices` | the licences of third-party code in the released artifacts |
//! | `cargo xtask package-lambda` | the Lambda function's zip |
//! | `cargo xtask playground` | DynamoDB Local with the table of a shop, and an empty OpenSearch, until Ctrl-C |
//! | `cargo xtask simulate` | the poller in its simulated world: many seeds, or one of them with its trace |
//! | `cargo xtask templates` | the part of tidy that checks the templates of `deploy/` |
//! | `cargo xtask tidy` | everything about the code that can be checked without running it |
//! | `cargo xtask test` | tidy, then all tests, on engines that it fetches and starts |
#![allow(clippy::print_stdout, reason = "a task runner for people: its output is what it is for")]

mod bench;
mod book;
mod circles;
mod cross;
mod demo;
mod deploy;
mod dist;
mod dry_run;
mod elf;
mod engines;
mod failures;
mod notices;
mod package;
mod simulate;
mod step;
mod summary;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Workspace tasks.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure mapping, sink and poller against their references, optimised.
    Bench(step::PassedOn),
    /// Build the site of all pages, under target/book.
    Book,
    /// Find files of one crate that import each other: a part of tidy.
    Circles,
    /// Keep an index equal to a table for a while, under load, and compare them.
    Demo(demo::Options),
    /// Build archives of the command line tool, under target/dist; no Docker.
    Dist(dist::Options),
    /// Build what a release hands out, and install it from a local server. Takes about an hour.
    DryRun(dry_run::Options),
    /// Write the licences of third-party code in the released artifacts, after a change of Cargo.lock.
    Notices,
    /// Build the Lambda function's zip, under target/lambda; no Docker.
    PackageLambda(package::Options),
    /// Start DynamoDB Local with a shop of 20,000 orders, and an empty OpenSearch, until Ctrl-C.
    Playground(step::PassedOn),
    /// Run the poller in its simulated world, in the release profile: `--seeds N [--from K]`, or `--seed S [--trace]`.
    Simulate(step::PassedOn),
    /// Check format, lints, documentation, dependencies and licences.
    Tidy,
    /// Check the templates of deploy/, without AWS.
    Templates,
    /// Run tidy and all tests; engines are fetched into the target folder.
    Test(test::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    let passed = match Arguments::parse().task {
        Task::Bench(options) => bench::run(&options)?,
        Task::Book => book::check("book of all pages") != step::Outcome::Failed,
        Task::Circles => circles::check("circles") != step::Outcome::Failed,
        Task::Demo(options) => demo::run(&options)?,
        Task::Dist(options) => dist::run(&options)?,
        Task::DryRun(options) => dry_run::run(&options)?,
        Task::Notices => notices::run()?,
        Task::PackageLambda(options) => package::run(&options)?,
        Task::Playground(options) => demo::playground(&options)?,
        Task::Simulate(options) => simulate::run(&options)?,
        Task::Tidy => tidy::run(),
        Task::Templates => deploy::templates("deployment templates") != step::Outcome::Failed,
        Task::Test(options) => test::run(&options)?,
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
