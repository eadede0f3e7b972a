//! `cargo xtask dry-run`: what a release builds, and what a user does with it, on this machine alone.
//!
//! What is left out needs Docker, GitHub or a registry: the image, signatures, and the release itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::cross::Architecture;
use crate::dist::{self, PROGRAM, VERSION};
use crate::package;
use crate::step::{Outcome, cargo};
use crate::tools::{BINSTALL, CARGO_LAMBDA, python_environment};

type Step = fn() -> anyhow::Result<()>;

/// Whether every step passed; a step that fails ends the run.
pub(crate) fn run() -> anyhow::Result<bool> {
    let steps: [(&str, Step); 6] = [
        ("crates", crates),
        ("archives", archives),
        ("zips of the function", zips),
        ("zip of cargo lambda", zip_of_cargo_lambda),
        ("cargo binstall", binstall),
        ("the README's line", line_of_the_readme),
    ];
    for (name, step) in steps {
        println!("── dry run: {name}");
        step().with_context(|| name.to_owned())?;
    }
    println!("── dry run: passed");
    Ok(true)
}

/// As they would go to a registry: each holds all that it needs to be compiled.
fn crates() -> anyhow::Result<()> {
    let mut package = cargo(&["package", "--locked", "--workspace", "--no-verify", "--quiet"]);
    for tool in ["streamdex-bench", "streamdex-demo", "streamdex-tests", "xtask"] {
        package.args(["--exclude", tool]);
    }
    run_to_its_end(&mut package)
}

fn archives() -> anyhow::Result<()> {
    dist::run(&dist::Options { arch: None }).map(drop)
}

fn zips() -> anyhow::Result<()> {
    for arch in [Architecture::Arm64, Architecture::X86_64] {
        package::run(&package::Options { arch, config: Some(workspace_folder().join("deploy/sam/streamdex.toml")) })?;
    }
    Ok(())
}
