//! The programs under test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use streamdex_testkit::engines::{target_folder, workspace_folder};
use tokio::sync::OnceCell;

/// A program of this workspace, built once by the cargo that runs these tests: nothing is done where it is fresh.
pub(crate) struct Program {
    package: &'static str,
    name: &'static str,
    /// In the environment: a program to test in place of the one that is built.
    variable: &'static str,
    built: OnceCell<PathBuf>,
}

impl Program {
    pub(crate) const fn new(package: &'static str, name: &'static str, variable: &'static str) -> Program {
        Program { package, name, variable, built: OnceCell::const_new() }
    }

    pub(crate) async fn path(&'static self) -> &'static Path {
        self.built.get_or_init(|| async { tokio::task::spawn_blocking(|| self.build()).await.unwrap() }).await
    }

    fn build(&self) -> PathBuf {
        if let Some(given) = env::var_os(self.variable) {
            let given = PathBuf::from(given);
            assert!(given.exists(), "{} names {}, which is not there", self.variable, given.display());
            return given;
        }
        let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--package", self.package, "--bin", self.name, "--message-format", "json"])
            .args(["--profile", profile()])
            .arg("--target-dir")
            .arg(target_folder())
            .current_dir(workspace_folder())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo");
        assert!(built.status.success(), "{} does not build", self.name);
        let messages = String::from_utf8(built.stdout).unwrap();
        let made = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let made: Vec<PathBuf> = made.filter_map(|message| Some(message["executable"].as_str()?.into())).collect();
        made.last().expect("cargo names the program that it made").clone()
    }
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev" } else { "release" }
}
