//! A table kept equal to an index, live: `cargo xtask demo`.
//!
//! Everything is real but the table: a search engine, the `streamdex` program that a user would start, and
//! DynamoDB as dynoxide emulates it in this process. The demo computes the expected documents separately, without
//! streamdex's code.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demonstration for people: its output is what it is for"
)]

mod awkward;
mod choice;
mod cluster;
mod configuration;
mod docker;
mod expected;
mod follower;
mod freshness;
mod live;
mod load;
mod options;
mod script;
mod second_act;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::Traces;
use crate::options::Options;

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// A download under way is not waited for.
const STOP_LIMIT: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let end = runtime.block_on(demonstrate(&options));
    runtime.shutdown_timeout(STOP_LIMIT);
    Ok(end.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    }))
}

/// Runs the script, or as much of it as a signal allows, and removes its traces.
async fn demonstrate(options: &Options) -> anyhow::Result<ExitCode> {
    let mut traces = Traces::default();
    let end = tokio::select! {
        end = Box::pin(script::run(options, &mut traces)) => end.map(|equal| {
            if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }),
        signal = interrupted() => signal.map(|()| {
            println!("\nstopping everything that was started");
            ExitCode::from(INTERRUPTED)
        }),
    };
    // Whatever ran was dropped, and so stopped, with the future of the script.
    traces.remove().await;
    end
}

async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt.context("listening for Ctrl-C"),
    }
}
