//! Child processes that end with their parent, however the parent ends.
//!
//! The kernel's own mechanism (`prctl`) needs unsafe code and exists on Linux alone. Instead a one-line shell
//! stands beside every child and reads from a pipe whose other end only this process holds: when the pipe closes,
//! be it by a drop, an exit or a `kill -9` of this process, the shell kills the child. The same pipe carries the
//! signals which the standard library cannot send.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const WATCHDOG: &str =
    r#"while read -r signal; do kill -"$signal" "$1" 2>/dev/null; done; kill -KILL "$1" 2>/dev/null"#;

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A child process which is killed when this value is dropped, or when this process ends in any way.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    watchdog: Child,
    control: Option<ChildStdin>,
    log: PathBuf,
    exit: Option<ExitStatus>,
}

impl Supervised {
    /// Starts `command` with its output appended to the file `log`, in its own process group, so that Ctrl-C
    /// reaches this process only.
    ///
    /// # Errors
    /// When the log cannot be opened, or the command or `sh` cannot be started.
    pub fn spawn(mut command: Command, log: &Path) -> io::Result<Self> {
        let output = append_to(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Self::spawn_as_is(command, log)
    }

    /// Starts `command` with standard output and error in two files, for programs whose output is a result.
    ///
    /// # Errors
    /// As [`Supervised::spawn`].
    pub fn spawn_split(mut command: Command, stdout: &Path, stderr: &Path) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(append_to(stdout)?).stderr(append_to(stderr)?);
        Self::spawn_as_is(command, stderr)
    }

    fn spawn_as_is(mut command: Command, log: &Path) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut watchdog = match watchdog {
            Ok(watchdog) => watchdog,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        let control = watchdog.stdin.take();
        let log = log.to_path_buf();
        Ok(Self { child, watchdog, control, log, exit: None })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: `TERM`, `INT`, `STOP`, `CONT`.
    ///
    /// # Errors
    /// When the process has ended already.
    pub fn signal(&mut self, name: &str) -> io::Result<()> {
        match self.control.as_mut() {
            Some(control) => writeln!(control, "{name}"),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.exit {
            return Ok(status);
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        self.ended(status)
    }

    /// SIGTERM, then SIGKILL when the process has not ended within `grace`.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if self.exit.is_none()
            && self.signal("TERM").is_ok()
            && let Some(status) = self.wait_for(grace)?
        {
            return Ok(status);
        }
        self.kill()
    }

    /// Waits at most `limit`, blocking the thread; `None` when the process still runs.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn wait_for(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The exit status, if the process has ended.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.exit.is_none()
            && let Some(status) = self.child.try_wait()?
        {
            self.ended(status)?;
        }
        Ok(self.exit)
    }

    /// The last `lines` lines of the log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Ends the watchdog before it could signal a process id that the system may have given away again.
    fn ended(&mut self, status: ExitStatus) -> io::Result<ExitStatus> {
        self.watchdog.kill()?;
        self.control = None;
        self.watchdog.wait()?;
        self.exit = Some(status);
        Ok(status)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            // A drop has nobody to tell but the reader of the test's output.
            let _ = writeln!(io::stderr(), "process {} could not be ended: {error}", self.id());
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Supervised {
        let mut command = Command::new("sleep");
        command.arg("60");
        Supervised::spawn(command, &folder.join("log")).unwrap()
    }

    #[test]
    fn stop_ends_the_child() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(folder.path());
        let status = child.stop(Duration::from_secs(10)).unwrap();
        assert!(!status.success());
        assert!(child.signal("TERM").is_err());
    }

    #[test]
    fn a_closed_pipe_ends_the_child() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(folder.path());
        // What the kernel does to the pipe when the parent is killed.
        child.control = None;
        let status = child.wait_for(Duration::from_secs(10)).unwrap();
        assert!(status.is_some());
    }

    #[test]
    fn log_tail_gives_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; echo three"]);
        let mut child = Supervised::spawn(command, &folder.path().join("log")).unwrap();
        child.wait_for(Duration::from_secs(10)).unwrap();
        assert_eq!(child.log_tail(2), "two\nthree");
    }
}
