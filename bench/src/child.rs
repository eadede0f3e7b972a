//! Runs a released binary and watches what it uses.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use streamdex_testkit::process::Supervised;

use crate::memory::{cpu_seconds, cpu_seconds_of_children, peak_kilobytes, resident_kilobytes};
use crate::program::Program;

/// One run of the binary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_megabytes: u64,
}

/// Runs `streamdex` to its end; it must end well. What it prints to stdout goes to `stdout`.
pub(crate) fn run(program: &Program, config: &Path, arguments: &[&str], stdout: Option<&Path>) -> anyhow::Result<Run> {
    // Into a file: nobody reads a pipe while it runs, and a full one would halt it.
    let log = config.with_extension("log");
    let mut command = program.command(config);
    command.args(arguments).stdin(Stdio::null()).stderr(std::fs::File::create(&log)?);
    match stdout {
        Some(path) => command.stdout(std::fs::File::create(path)?),
        None => command.stdout(Stdio::null()),
    };
    let cpu_before = cpu_seconds_of_children().context("no /proc")?;
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
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
    let cpu_seconds = cpu_seconds_of_children().context("no /proc")? - cpu_before;
    Ok(Run { seconds, cpu_seconds, peak_megabytes: peak / 1024 })
}

/// `streamdex run` under way; killed when dropped.
pub(crate) struct Running {
    process: Supervised,
}

/// What a running process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_megabytes: f64,
    pub(crate) peak_megabytes: f64,
}

/// The time that a stop may take, and some more.
const STOP_WITHIN: Duration = Duration::from_secs(15);

impl Running {
    /// Starts `streamdex run`, with its log beside the configuration.
    pub(crate) fn start(program: &Program, config: &Path) -> anyhow::Result<Running> {
        let mut command = program.command(config);
        command.arg("run");
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
        let megabytes = |kilobytes: Option<u64>| -> anyhow::Result<f64> {
            Ok(f64::from(u32::try_from(kilobytes.with_context(gone)?)?) / 1024.0)
        };
        Ok(Usage {
            cpu_seconds: cpu_seconds(&pid).with_context(gone)?,
            resident_megabytes: megabytes(resident_kilobytes(&pid))?,
            peak_megabytes: megabytes(peak_kilobytes(&pid))?,
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
