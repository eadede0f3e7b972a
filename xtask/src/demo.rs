//! `cargo xtask demo`: builds streamdex and the demo, and runs it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use anyhow::Context;

use crate::step::{PassedOn, build};

/// The demo's own, so that `--help` and a misspelt option are answered before anything is built.
#[path = "../../demo/src/options.rs"]
mod options;

pub(crate) use options::Options;

/// Returns only when the demo could not be started: in place of this process it gets Ctrl-C at first hand.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    become_program("streamdex-demo", &options.arguments())
}

/// The same for the playground.
pub(crate) fn playground(options: &PassedOn) -> anyhow::Result<bool> {
    become_program("streamdex-playground", &options.arguments)
}

fn become_program(name: &str, arguments: &[OsString]) -> anyhow::Result<bool> {
    println!("building streamdex and the demo (minutes in a fresh clone) …");
    let begun = Instant::now();
    // One command, so that what both need is compiled once.
    build(&["-p", "streamdex", "-p", "streamdex-demo"])?;
    println!("built in {:.0} s", begun.elapsed().as_secs_f64());
    let program = std::env::current_exe().context("finding this program")?.with_file_name(name);
    let error = Command::new(&program).args(arguments).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}
