//! The program under test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use streamdex_testkit::engines::{child_environment, target_folder, workspace_folder};
use streamdex_testkit::process::Supervised;
use tokio::sync::OnceCell;

/// A program to test in place of the one that is built from this workspace.
const BINARY: &str = "STREAMDEX_BINARY";

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

impl Running {
    /// Starts `arguments` in `folder`, with nothing but the emulators to reach. `name` tells the output files of
    /// one folder apart.
    pub(crate) async fn start(folder: &Path, name: &str, arguments: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = Command::new(binary().await);
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

/// The program, built once by the cargo that runs these tests: nothing is done where it is fresh.
async fn binary() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(|| async { tokio::task::spawn_blocking(build).await.unwrap() }).await
}

fn build() -> PathBuf {
    if let Some(given) = env::var_os(BINARY) {
        return given.into();
    }
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--package", "streamdex", "--bin", "streamdex", "--message-format", "json"])
        .args(["--profile", profile()])
        .arg("--target-dir")
        .arg(target_folder())
        .current_dir(workspace_folder())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo");
    assert!(built.status.success(), "the program does not build");
    let messages = String::from_utf8(built.stdout).unwrap();
    let made = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let made: Vec<PathBuf> = made.filter_map(|message| Some(message["executable"].as_str()?.into())).collect();
    made.last().expect("cargo names the program that it made").clone()
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev" } else { "release" }
}
