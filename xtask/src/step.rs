//! One step: a command with a name, its time, and whether it went well.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use streamdex_testkit::engines::{target_folder, workspace_folder};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It could not be run here, and the run goes on without it.
    NotRun,
}

/// What a task hands on to the program that it builds.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct PassedOn {
    /// Passed on to the program that is built; --help lists what it takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// A `cargo` command in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    // The cargo that runs this task, of the pinned toolchain.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace_folder());
    command
}

/// Builds with `cargo build` and these arguments; cargo shows how far it is.
pub(crate) fn build(arguments: &[&str]) -> anyhow::Result<()> {
    let status = cargo(&["build"]).args(arguments).status().context("starting cargo build")?;
    ensure!(status.success(), "cargo build failed");
    Ok(())
}

/// Runs a program that was built in this profile, and says whether it went well.
pub(crate) fn run_built(profile: &str, name: &str, options: &PassedOn) -> anyhow::Result<bool> {
    let program = target_folder().join(profile).join(name);
    let status = Command::new(&program).args(&options.arguments).status();
    Ok(status.with_context(|| format!("starting {}", program.display()))?.success())
}

/// Says why a step could not be run here.
pub(crate) fn not_run(name: &str, why: &str) -> Outcome {
    println!("── {name}\n   {name}: {why}");
    Outcome::NotRun
}

/// Says what made a step fail before it could be run.
pub(crate) fn failed(name: &str, error: &anyhow::Error) -> Outcome {
    println!("── {name}\n   {name}: {error:#}");
    Outcome::Failed
}

/// Makes the folder, or empties it.
pub(crate) fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}

/// Runs the command with its output shown.
pub(crate) fn run(name: &str, mut command: Command) -> Outcome {
    println!("── {name}");
    let begun = Instant::now();
    let outcome = match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => {
            println!("   {name}: {status}");
            Outcome::Failed
        }
        Err(error) => {
            println!("   {name}: {error}");
            Outcome::Failed
        }
    };
    println!("   {name}: {outcome:?} in {:.1} s", begun.elapsed().as_secs_f32());
    outcome
}
