//! Runs the released binary and watches its memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use streamdex_testkit::engines::child_environment;

use crate::memory::peak_kilobytes;

/// One run of the binary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) peak_megabytes: u64,
}

/// The binary beside this one.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("streamdex");
    anyhow::ensure!(path.exists(), "{} is not built: use `cargo xtask bench`", path.display());
    Ok(path)
}

/// Runs `streamdex` to its end; it must end well. What it prints to stdout goes to `stdout`.
pub(crate) fn run(config: &Path, arguments: &[&str], stdout: Option<&Path>) -> anyhow::Result<Run> {
    let mut command = Command::new(binary()?);
    command.arg("--config").arg(config).args(arguments).envs(child_environment()).stderr(Stdio::piped());
    match stdout {
        Some(path) => command.stdout(std::fs::File::create(path)?),
        None => command.stdout(Stdio::null()),
    };
    let started = Instant::now();
    let mut child = command.spawn().context("cannot start streamdex")?;
    let pid = child.id().to_string();
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak.max(peak_kilobytes(&pid).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    let seconds = started.elapsed().as_secs_f64();
    let output = child.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "streamdex {arguments:?} ended with {}: {complaint}", output.status);
    Ok(Run { seconds, peak_megabytes: peak / 1024 })
}
