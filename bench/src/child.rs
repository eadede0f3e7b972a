//! Runs the released binary and watches what it uses.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use streamdex_testkit::engines::child_environment;
use streamdex_testkit::process::Supervised;

use crate::memory::{cpu_seconds, peak_kilobytes, resident_kilobytes};

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
    // Into a file: nobody reads a pipe while it runs, and a full one would halt it.
    let log = config.with_extension("log");
    let mut command = Command::new(binary()?);
    command.arg("--config").arg(config).args(arguments).envs(child_environment());
    command.stdin(Stdio::null()).stderr(std::fs::File::create(&log)?);
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
    let status = child.wait()?;
    if !status.success() {
        let complaint = std::fs::read_to_string(&log)?;
        anyhow::bail!("streamdex {arguments:?} ended with {status}: {complaint}");
    }
    Ok(Run { seconds, peak_megabytes: peak / 1024 })
}

/// `streamdex run` under way; killed when dropped.
pub(crate) struct Running {
    process: Supervised,
}

/// What a running process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_megabytes: u64,
    pub(crate) peak_megabytes: u64,
}

/// The time that a stop may take, and some more.
const STOP_WITHIN: Duration = Duration::from_secs(15);

impl Running {
    /// Starts `streamdex run`, with its log beside the configuration.
    pub(crate) fn start(config: &Path) -> anyhow::Result<Running> {
        let mut command = Command::new(binary()?);
        command.arg("--config").arg(config).arg("run").envs(child_environment());
        let log = config.with_extension("log");
        std::fs::write(&log, "")?;
        Ok(Running { process: Supervised::spawn(command, &log).context("cannot start streamdex")? })
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        format!("streamdex said: {}", self.process.log_tail(20))
    }

    /// What it has used.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let pid = self.process.id().to_string();
        let gone = || self.log_tail();
        Ok(Usage {
            cpu_seconds: cpu_seconds(&pid).with_context(gone)?,
            resident_megabytes: resident_kilobytes(&pid).with_context(gone)? / 1024,
            peak_megabytes: peak_kilobytes(&pid).with_context(gone)? / 1024,
        })
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        Ok(())
    }

    /// SIGTERM, after which it must end well.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let stopped = tokio::task::spawn_blocking(move || {
            let status = self.process.stop(STOP_WITHIN)?;
            anyhow::ensure!(status.success(), "streamdex run ended with {status}; {}", self.log_tail());
            Ok(())
        });
        stopped.await?
    }
}
