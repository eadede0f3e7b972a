//! `cargo xtask bench`: builds both in the release profile, and runs the measurements.

use std::ffi::OsString;

use crate::step::{build, run_released};

/// What the benchmarks are told; `cargo xtask bench -- --help` lists it.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Passed on to the benchmarks.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Whether everything could be measured; no figure fails it.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    println!("building streamdex and the benchmarks in the release profile (minutes in a fresh clone) …");
    build(&["--release", "-p", "streamdex", "-p", "streamdex-lambda", "-p", "streamdex-bench"])?;
    run_released("streamdex-bench", &options.arguments)
}
