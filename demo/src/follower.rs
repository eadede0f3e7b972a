//! `streamdex`, as a user would start it: another process with a configuration file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use streamdex_testkit::engines::child_environment;
use streamdex_testkit::process::Supervised;

const STOP_GRACE: Duration = Duration::from_secs(15);
/// How many lines of a log explain an early end.
const TAIL: usize = 12;

/// The program and its configuration.
#[derive(Debug, Clone)]
pub(crate) struct Streamdex {
    program: PathBuf,
    configuration: PathBuf,
}

// === impl Streamdex ===

impl Streamdex {
    /// The one that was built beside this program.
    pub(crate) fn beside_this(configuration: &Path) -> anyhow::Result<Streamdex> {
        let program = std::env::current_exe().context("finding this program")?.with_file_name("streamdex");
        ensure!(program.is_file(), "{} is not built; start the demo with `cargo xtask demo`", program.display());
        Ok(Streamdex { program, configuration: configuration.to_path_buf() })
    }

    /// The file.
    pub(crate) fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// What a command prints; an error where it fails.
    pub(crate) async fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::from(self.command(arguments));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("starting streamdex")?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("streamdex {}: {}\n{stdout}{stderr}", arguments.join(" "), output.status);
        }
        Ok(stdout)
    }

    /// Where `streamdex run` logs to: beside the configuration.
    pub(crate) fn log(&self) -> PathBuf {
        self.configuration.with_file_name("run.log")
    }

    /// Starts `streamdex run`, its log going to a file.
    pub(crate) fn follow(&self, log: &Path) -> anyhow::Result<Follower> {
        let command = self.command(&["run", "--log-format", "json", "--report-every", "1"]);
        let process = Supervised::spawn(command, log).context("starting streamdex run")?;
        Ok(Follower { process, log: log.to_path_buf() })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.configuration).args(arguments).envs(child_environment());
        command
    }
}

/// How many records `streamdex run` has dealt with, as its log tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Report {
    pub(crate) records: u64,
    pub(crate) applied: u64,
    pub(crate) superseded: u64,
    pub(crate) absent: u64,
    pub(crate) coalesced: u64,
    pub(crate) unchanged: u64,
    pub(crate) filtered: u64,
    pub(crate) dead_lettered: u64,
    /// Milliseconds by which the index is behind, where the line tells.
    pub(crate) lag_ms: Option<u64>,
    message: String,
}

// === impl Report ===

impl Report {
    /// The outcomes by name.
    pub(crate) fn outcomes(&self) -> [(&'static str, u64); 7] {
        [
            ("applied", self.applied),
            ("superseded", self.superseded),
            ("absent", self.absent),
            ("coalesced", self.coalesced),
            ("unchanged", self.unchanged),
            ("filtered", self.filtered),
            ("dead lettered", self.dead_lettered),
        ]
    }
}

/// A running `streamdex run`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    process: Supervised,
    log: PathBuf,
}

// === impl Follower ===

impl Follower {
    /// Waits until it says that it follows the stream.
    pub(crate) async fn until_following(&mut self, limit: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while !self.lines().iter().any(|line| line.get("message").is_some_and(|message| message == "following")) {
            self.insist_on_running()?;
            ensure!(Instant::now() < deadline, "streamdex run does not follow:\n{}", self.process.log_tail(TAIL));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until it says what begins so, and returns all of it.
    pub(crate) async fn until_said(&mut self, beginning: &str, limit: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let messages = self.lines().into_iter().filter_map(|line| Some(line.get("message")?.as_str()?.to_owned()));
            if let Some(message) = messages.into_iter().find(|message| message.starts_with(beginning)) {
                return Ok(message);
            }
            self.insist_on_running()?;
            ensure!(
                Instant::now() < deadline,
                "streamdex run did not log {beginning:?}:\n{}",
                self.process.log_tail(TAIL)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The newest numbers; `None` before the first.
    pub(crate) fn latest(&mut self) -> anyhow::Result<Option<Report>> {
        self.insist_on_running()?;
        Ok(self.reports().pop())
    }

    /// SIGTERM, and the numbers that it ends with.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Report> {
        let stopped = tokio::task::spawn_blocking(move || self.process.stop(STOP_GRACE).map(|status| (self, status)));
        let (mut follower, status) = stopped.await.context("stopping streamdex run")??;
        ensure!(status.success(), "streamdex run: {status}\n{}", follower.process.log_tail(TAIL));
        let last = follower.reports().pop().filter(|report| report.message == "stopped");
        last.context("streamdex run ended without its last line")
    }

    fn insist_on_running(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait().context("looking at streamdex run")? {
            Some(status) => bail!("streamdex run ended unexpectedly: {status}\n{}", self.process.log_tail(TAIL)),
            None => Ok(()),
        }
    }

    fn reports(&mut self) -> Vec<Report> {
        self.lines().into_iter().filter_map(|line| serde_json::from_value(line).ok()).collect()
    }

    fn lines(&self) -> Vec<Value> {
        // A log of a demo is small; a last line that is being written is no JSON yet.
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
