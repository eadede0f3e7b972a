//! `cargo xtask notices`: the licences of third-party code in the released artifacts, and a part of tidy that compares
//! them with `Cargo.lock`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use streamdex_testkit::engines::workspace_folder;

use crate::cross::Architecture;
use crate::step::{Outcome, cargo};
use crate::tools::ABOUT;

/// A program that is handed out.
pub(crate) struct Program {
    package: &'static str,
    folder: &'static str,
    file: &'static str,
}

pub(crate) const TOOL: Program =
    Program { package: "streamdex", folder: "crates/cli", file: "deploy/notices/streamdex.md" };
pub(crate) const FUNCTION: Program =
    Program { package: "streamdex-lambda", folder: "crates/lambda", file: "deploy/notices/lambda.md" };

impl Program {
    /// Its notices.
    pub(crate) fn notices(&self) -> anyhow::Result<Vec<u8>> {
        let file = self.path();
        fs::read(&file).with_context(|| format!("reading {}", file.display()))
    }

    fn path(&self) -> PathBuf {
        workspace_folder().join(self.file)
    }

    /// Writes them: cargo-about looks up which licence each crate carries.
    fn write(&self) -> anyhow::Result<()> {
        let folder = workspace_folder().join("deploy/notices");
        println!("── {} (some minutes)", self.file);
        let mut about = Command::new(ABOUT.program()?);
        about.args(["generate", "--locked", "--fail", "--config"]).arg(folder.join("about.toml"));
        about.arg("--output-file").arg(self.path()).arg(folder.join("about.hbs"));
        let status =
            about.current_dir(workspace_folder().join(self.folder)).status().context("starting cargo-about")?;
        ensure!(status.success(), "cargo-about ended with {status}");
        Ok(())
    }

    /// Name and version of each crate of others that is in it, as a line of the notices begins.
    fn crates(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut crates = BTreeSet::new();
        for architecture in Architecture::value_variants() {
            let mut tree = cargo(&["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
            let output = tree.args(["--package", self.package, "--target", architecture.triple()]).output()?;
            ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).context("cargo tree")?;
            // Those of this workspace are followed by their folder.
            let of_others = text.lines().filter(|line| !line.contains("(/") && !line.is_empty());
            crates.extend(of_others.filter_map(|line| named(line.split(' '))));
        }
        Ok(crates)
    }

    fn noticed(&self) -> anyhow::Result<BTreeSet<String>> {
        let text = String::from_utf8(self.notices()?).context("the notices")?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("- ")?.split(',').next());
        Ok(lines.filter_map(|line| named(line.split(' '))).collect())
    }
}

/// `name v1.2.3` and `name 1.2.3` as `name 1.2.3`.
fn named<'l>(mut words: impl Iterator<Item = &'l str>) -> Option<String> {
    let (name, version) = (words.next()?, words.next()?);
    let version = version.strip_prefix('v').unwrap_or(version);
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| format!("{name} {version}"))
}

/// Whether the notices were written.
pub(crate) fn run() -> anyhow::Result<bool> {
    TOOL.write()?;
    FUNCTION.write()?;
    Ok(true)
}

/// Whether the notices name what is in the programs.
pub(crate) fn check(name: &str) -> Outcome {
    println!("── {name}");
    let mut outcome = Outcome::Passed;
    for program in [TOOL, FUNCTION] {
        let compared = program.crates().and_then(|crates| Ok((crates, program.noticed()?)));
        match compared {
            Ok((crates, noticed)) if crates == noticed => {}
            Ok((crates, noticed)) => {
                let changed: Vec<&str> = crates.symmetric_difference(&noticed).map(String::as_str).collect();
                println!("   {} is not of this Cargo.lock ({}): cargo xtask notices", program.file, changed.join(", "));
                outcome = Outcome::Failed;
            }
            Err(error) => {
                println!("   {error:#}");
                outcome = Outcome::Failed;
            }
        }
    }
    println!("   {name}: {outcome:?}");
    outcome
}
