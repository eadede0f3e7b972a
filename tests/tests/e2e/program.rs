//! The program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use streamdex_testkit::engines::child_environment;
use streamdex_testkit::process::Supervised;

use crate::lab::{CONFIG, LONG, Lab, Node, Program};

static STREAMDEX: Program = Program::new("streamdex", "streamdex", "STREAMDEX_BINARY");
/// Where `replay --images` puts dead letters.
pub(crate) const LETTER_FILE: &str = "streamdex-dead-letters.ndjson";
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(180);

/// A started `streamdex`, killed when dropped.
pub(crate) struct Running {
    process: Supervised,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// What a command that came to its end left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    /// Starts the program.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[]).await
    }

    /// Starts the program with more in its environment.
    pub(crate) async fn start_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Running {
        self.start_of(CONFIG, arguments, env).await
    }

    /// Starts the program with this configuration.
    pub(crate) async fn start_of(&self, config: &str, arguments: &[&str], env: &[(&str, &str)]) -> Running {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let all = [&["--config", config], arguments].concat();
        Running::start(self.folder.path(), &format!("{number}"), &all, env).await
    }

    /// As [`Lab::end`], with this configuration.
    pub(crate) async fn end_of(&self, config: &str, arguments: &[&str]) -> Ended {
        self.start_of(config, arguments, &[]).await.ended(COMMAND_LIMIT).await
    }

    /// Runs the program to its end.
    pub(crate) async fn end(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).await.ended(COMMAND_LIMIT).await
    }

    /// As [`Lab::end`], with more in its environment.
    pub(crate) async fn end_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Ended {
        self.start_with(arguments, env).await.ended(COMMAND_LIMIT).await
    }

    /// The dead letters of `replay --images`.
    pub(crate) fn file_letters(&self) -> Vec<Value> {
        let text = self.read_file(LETTER_FILE);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A replica that listens, and how to ask it.
pub(crate) async fn listening(lab: &Lab) -> (Running, Node) {
    let mut run = lab.start(&["run", "--listen", "127.0.0.1:0"]).await;
    run.until_logged("the address", LONG, |log| log.contains("address=127.0.0.1:")).await;
    let log = run.stderr();
    let port: String =
        log.split_once("address=127.0.0.1:").unwrap().1.chars().take_while(char::is_ascii_digit).collect();
    (run, Node::new(&format!("http://127.0.0.1:{port}")).await)
}

impl Running {
    /// Starts `arguments` in `folder`, with nothing but the emulators to reach. `name` tells the output files of
    /// one folder apart.
    pub(crate) async fn start(folder: &Path, name: &str, arguments: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = Command::new(STREAMDEX.path().await);
        command.args(arguments).current_dir(folder);
        for name in ["RUST_LOG", "STREAMDEX_CONFIG", "STREAMDEX_CONFIG_TOML"] {
            command.env_remove(name);
        }
        command.envs(child_environment()).envs(env.iter().copied());
        let (stdout, stderr) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        let process = Supervised::spawn_split(command, &stdout, &stderr).unwrap();
        Running { process, stdout, stderr }
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    pub(crate) fn signal(&mut self, name: &str) {
        self.process.signal(name).unwrap();
    }

    /// Fails the test if it has ended.
    pub(crate) fn must_run(&mut self) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "it ended with {ended:?}:\n{}", self.stderr());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Ended {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Ended { status: code(status), stdout: self.stdout(), stderr: self.stderr() };
            }
            assert!(Instant::now() < deadline, "it has not ended within {limit:?}:\n{}", self.stderr());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for its end, and ends it by SIGTERM once its log fulfils `is_enough`.
    pub(crate) async fn ended_or(&mut self, limit: Duration, is_enough: impl Fn(&str) -> bool) -> Ended {
        let deadline = Instant::now() + limit;
        while self.process.try_wait().unwrap().is_none() && Instant::now() < deadline {
            if is_enough(&self.stderr()) {
                self.signal("TERM");
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.ended(deadline.saturating_duration_since(Instant::now())).await
    }

    /// SIGTERM, and its end, which must be a good one within the promised 10 s.
    pub(crate) async fn stop(&mut self) -> Ended {
        self.must_run();
        self.signal("TERM");
        let begun = Instant::now();
        let ended = self.ended(Duration::from_secs(30)).await;
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        // The machine's other work is not this program's fault.
        assert!(begun.elapsed() < Duration::from_secs(12), "it took {:?} to stop:\n{}", begun.elapsed(), ended.stderr);
        ended
    }

    /// Waits until its log fulfils `condition`.
    pub(crate) async fn until_logged(&mut self, what: &str, limit: Duration, condition: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + limit;
        while !condition(&self.stderr()) {
            self.must_run();
            assert!(Instant::now() < deadline, "not logged within {limit:?}: {what}\n{}", self.stderr());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Ended {
    /// The summary of `--json`, whose counts must add up.
    pub(crate) fn summary(&self) -> Value {
        let summary: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let outcomes = summary["outcomes"].as_object().unwrap();
        let sum: u64 = outcomes.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(summary["records"].as_u64(), Some(sum), "{summary}");
        summary
    }
}

/// As a shell gives it: a signal's number above 128.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The lines of a log that contain `part`.
pub(crate) fn lines<'a>(log: &'a str, part: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(part)).collect()
}
