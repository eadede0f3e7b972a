//! `cargo xtask bench`: builds both in the release profile, and runs the measurements.

use crate::step::{PassedOn, build, run_released};

/// Whether everything could be measured; no figure fails it.
pub(crate) fn run(options: &PassedOn) -> anyhow::Result<bool> {
    println!("building streamdex and the benchmarks in the release profile (minutes in a fresh clone) …");
    build(&["--release", "-p", "streamdex", "-p", "streamdex-lambda", "-p", "streamdex-bench"])?;
    run_released("streamdex-bench", options)
}
