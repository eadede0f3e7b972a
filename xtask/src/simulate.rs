//! `cargo xtask simulate`: the poller in its simulated world, many seeds or one.

use std::ffi::OsString;

use crate::step::{build, run_released};

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
    build(&[&["--release"][..], &program].concat())?;
    run_released("simulate", &options.arguments)
}
