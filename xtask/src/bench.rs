//! `cargo xtask bench`: builds all of them in the profile `measured`, and runs the measurements.

use crate::step::{PassedOn, build, run_built};

/// Whether everything could be measured; no figure fails it.
pub(crate) fn run(options: &PassedOn) -> anyhow::Result<bool> {
    println!("building streamdex and the benchmarks, optimised (minutes in a fresh clone) …");
    build(&["--profile", "measured", "-p", "streamdex", "-p", "streamdex-lambda", "-p", "streamdex-bench"])?;
    run_built("measured", "streamdex-bench", options)
}
