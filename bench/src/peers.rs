//! Third-party programs, built or installed into the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use streamdex_testkit::engines::child_environment;

use crate::search::Bench;
use crate::source::Source;

/// Whether the programs of others are measured as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peers {
    /// streamdex and references of this workspace.
    None,
    /// Those that npm, PyPI and the Go proxy have.
    All,
}

/// A loop over a stream with aws-sdk-go-v2.
pub(crate) struct GoLoop(PathBuf);

impl GoLoop {
    /// Builds it; needs Go.
    pub(crate) fn build(bench: &Bench) -> anyhow::Result<GoLoop> {
        let folder = copied(bench, "go")?;
        run(Command::new("go").args(["build", "-o", "drain", "."]).current_dir(&folder))?;
        Ok(GoLoop(folder.join("drain")))
    }

    /// Reads the whole stream; seconds.
    pub(crate) fn drain(&self, source: &Source, records: u32) -> anyhow::Result<f64> {
        let mut command = Command::new(&self.0);
        command.args([&source.stream.endpoint_url(), source.stream.stream_arn()]).envs(child_environment());
        let started = Instant::now();
        let output = command.output().context("starting the loop in Go")?;
        let seconds = started.elapsed().as_secs_f64();
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "the loop in Go ended with {}: {complaint}", output.status);
        let read: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().context("a number of records")?;
        anyhow::ensure!(read == records, "the loop in Go read {read} records of {records}");
        Ok(seconds)
    }
}

/// A copy of a peer's files where things may be installed.
pub(crate) fn copied(bench: &Bench, name: &str) -> anyhow::Result<PathBuf> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    let to = bench.folder.join("peers").join(name);
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let path = entry?.path();
        if let Some(file) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(file))?;
        }
    }
    Ok(to)
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {:?}", command.get_program()))?;
    anyhow::ensure!(status.success(), "{:?} ended with {status}", command.get_program());
    Ok(())
}
