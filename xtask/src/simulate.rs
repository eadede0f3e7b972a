//! `cargo xtask simulate`: the poller in its simulated world, many seeds or one.

use crate::step::{PassedOn, build, run_built};

/// Whether no seed failed.
pub(crate) fn run(options: &PassedOn) -> anyhow::Result<bool> {
    println!("building the simulation in the release profile (minutes in a fresh clone) …");
    let program = ["-p", "streamdex-testkit", "--no-default-features", "--features", "simulation", "--bin", "simulate"];
    build(&[&["--release"][..], &program].concat())?;
    run_built("release", "simulate", options)
}
