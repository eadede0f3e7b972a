//! The real program in its own sandbox.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use hyper::body::Bytes;

use super::answer::{Answer, FunctionError};
use super::runtime_api::RuntimeApi;
use crate::engines::{child_environment, unique_name};
use crate::process::Supervised;

/// For a machine that does other things as well.
const START_LIMIT: Duration = Duration::from_secs(60);
const STATE_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A function as it is deployed: a program and its environment. Every sandbox of it is one process.
#[derive(Debug)]
pub struct Function {
    program: PathBuf,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

/// One process of a function with its Runtime API, killed when dropped.
#[derive(Debug)]
pub struct Sandbox {
    // Before the Runtime API, so that it never sees the process lose it.
    process: Supervised,
    api: RuntimeApi,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// One invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The request id that the function got; empty when it took none.
    pub request_id: String,
    /// What came of it.
    pub answer: Answer,
    /// What the process wrote to standard output meanwhile.
    pub stdout: String,
    /// From the offer to the answer, a start of the process included.
    pub took: Duration,
}

// === impl Function ===

impl Function {
    /// `program` in an environment as the service gives it, with nothing but the emulators to reach. Its output goes
    /// to files in `folder`, which is also its task root.
    #[must_use]
    pub fn new(program: &Path, folder: &Path) -> Self {
        let mut environment: BTreeMap<String, String> =
            child_environment().map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "streamdex"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/streamdex"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2025/06/15/[$LATEST]0123456789abcdef"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("_HANDLER", "bootstrap"),
            ("TZ", ":UTC"),
            ("LANG", "en_US.UTF-8"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        environment.insert("LAMBDA_TASK_ROOT".to_owned(), folder.display().to_string());
        Self { program: program.to_owned(), folder: folder.to_owned(), environment }
    }

    /// Adds to the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// A new sandbox; its first invocation waits until the process has come up.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[must_use]
    pub fn start(&self) -> Sandbox {
        let name = unique_name("sandbox");
        let api = RuntimeApi::start();
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.address());
        let file = |ending| self.folder.join(format!("{name}.{ending}"));
        let (stdout, stderr) = (file("out"), file("err"));
        let process = Supervised::spawn_split(command, &stdout, &stderr)
            .unwrap_or_else(|error| panic!("starting {}: {error}", self.program.display()));
        Sandbox { process, api, stdout, stderr }
    }
}

// === impl Sandbox ===

impl Sandbox {
    /// Invokes the function with `time` until the deadline. As in the service, a process that has not answered by
    /// then is killed.
    ///
    /// # Panics
    /// When the process neither takes the invocation nor ends.
    pub async fn invoke(&mut self, payload: impl Into<Bytes>, time: Duration) -> Invocation {
        let begun = Instant::now();
        let written = fs::metadata(&self.stdout).map_or(0, |file| file.len());
        let mut request_id = String::new();
        let answered = async {
            let taken = self.api.offer(payload, time, START_LIMIT).await?;
            request_id.clone_from(&taken.request_id);
            Some(self.api.answer(&taken).await)
        };
        let answer = tokio::select! {
            biased;
            answer = answered => answer,
            status = exited(&mut self.process) => Some(Answer::Crashed(status)),
        };
        let took = begun.elapsed();
        let stdout = read_from(&self.stdout, written);
        let answer = answer.unwrap_or_else(|| panic!("it asks for no invocation:\n{}", self.log()));
        if answer == Answer::TimedOut {
            self.kill();
        }
        Invocation { request_id, answer, stdout, took }
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the process asks for an invocation; `false` after `limit`.
    pub async fn asked_for_next(&self, limit: Duration) -> bool {
        self.api.asked_for_next(limit).await
    }

    /// Whether the process can take another invocation.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().expect("a child process").is_none()
    }

    /// Stops the process in its tracks, once it has asked for its next invocation. [`Sandbox::thaw`] it before the
    /// next one.
    ///
    /// # Panics
    /// When it does not ask, or does not stop.
    pub async fn freeze(&mut self) {
        assert!(self.api.asked_for_next(STATE_LIMIT).await, "it asks for no invocation:\n{}", self.log());
        self.process.signal("STOP").expect("a running process");
        self.until_state(|state| state == 'T').await;
    }

    /// Lets a frozen process go on.
    ///
    /// # Panics
    /// When it does not.
    pub async fn thaw(&mut self) {
        self.process.signal("CONT").expect("a running process");
        self.until_state(|state| state != 'T').await;
    }

    async fn until_state(&self, is_meant: impl Fn(char) -> bool) {
        let deadline = Instant::now() + STATE_LIMIT;
        while !process_state(self.process.id()).is_some_and(&is_meant) {
            assert!(Instant::now() < deadline, "a signal did not arrive");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// When the process cannot be waited for.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child process");
    }

    /// What the process reported of a failed start.
    #[must_use]
    pub fn init_error(&self) -> Option<FunctionError> {
        self.api.init_error()
    }

    /// The ids of invocations that were answered when they were over already.
    #[must_use]
    pub fn late_answers(&self) -> Vec<String> {
        self.api.late_answers()
    }

    /// All that the process wrote to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        read_from(&self.stdout, 0)
    }

    /// All that the process wrote: what CloudWatch Logs would hold.
    #[must_use]
    pub fn log(&self) -> String {
        format!("{}{}", read_from(&self.stdout, 0), read_from(&self.stderr, 0))
    }
}

async fn exited(process: &mut Supervised) -> ExitStatus {
    loop {
        if let Some(status) = process.try_wait().expect("a child process") {
            return status;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The letter that `ps` shows; `None` when there is no such process.
fn process_state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in parentheses, and may hold some itself.
    stat.rsplit_once(") ")?.1.chars().next()
}

fn read_from(path: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let mut file = File::open(path).expect("the output of a process");
    file.seek(SeekFrom::Start(start)).expect("a place in a file");
    file.read_to_end(&mut bytes).expect("the output of a process");
    String::from_utf8_lossy(&bytes).into_owned()
}
