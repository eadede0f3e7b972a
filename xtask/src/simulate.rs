//! `cargo xtask simulate`: the poller in its simulated world, many seeds or one.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, bail};

use crate::step::cargo;

/// What the simulation is told.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// `--seeds N [--from K]` runs N seeds, from K on; `--seed S [--trace]` runs one, and shows what happened.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Whether no seed failed.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    println!("building the simulation in the release profile (minutes in a fresh clone) …");
    let program = ["-p", "streamdex-testkit", "--no-default-features", "--features", "simulation", "--bin", "simulate"];
    let status = cargo(&["build", "--quiet", "--release"]).args(program).status();
    if !status.context("starting cargo build")?.success() {
        bail!("cargo build failed");
    }
    let program = streamdex_testkit::engines::target_folder().join("release/simulate");
    let status = Command::new(&program).args(&options.arguments).status();
    Ok(status.with_context(|| format!("starting {}", program.display()))?.success())
}
