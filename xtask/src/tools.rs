//! Tools outside of the toolchain: pinned, compiled or installed once, and kept under the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use streamdex_testkit::engines::target_folder;

use crate::step::cargo;

/// A tool of a fixed version.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// Further arguments of `cargo install`. Without optimisation a tool compiles in half the time, and most are fast
    /// enough.
    options: &'static [&'static str],
}

pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", options: &["--debug"] };
/// Telling licences by their texts is slow work.
pub(crate) const ABOUT: Tool = Tool { name: "cargo-about", version: "0.9.3", options: &["--features", "cli"] };
/// Puts the list of crates into programs, where `cargo audit bin` and scanners of images find it.
pub(crate) const AUDITABLE: Tool = Tool { name: "cargo-auditable", version: "0.7.7", options: &["--debug"] };
/// It looks at words instead of parsing Rust, so it has little to compile.
pub(crate) const MACHETE: Tool = Tool { name: "cargo-machete", version: "0.9.2", options: &["--debug"] };

impl Tool {
    /// The program; it is compiled if it is not there yet.
    pub(crate) fn program(&self) -> anyhow::Result<PathBuf> {
        let root = target_folder().join("tools").join(format!("{}-{}", self.name, self.version));
        let program = root.join("bin").join(self.name);
        if program.is_file() {
            return Ok(program);
        }
        println!("   compiling {} {} (once; some minutes)", self.name, self.version);
        let begun = Instant::now();
        let mut install = cargo(&["install", "--quiet", "--locked", self.name, "--version", self.version]);
        install.args(self.options).arg("--root").arg(&root);
        // The tools share dependencies, and the folder is thrown away with the target folder.
        install.env("CARGO_TARGET_DIR", target_folder().join("tools/build"));
        let status = install.status().with_context(|| format!("compiling {}", self.name))?;
        ensure!(status.success(), "compiling {} ended with {status}", self.name);
        println!("   compiled {} in {} s", self.name, begun.elapsed().as_secs());
        Ok(program)
    }
}

/// The folder of a Python environment with the packages of `requirements`, which are pinned. It is made again when they
/// change.
pub(crate) fn python_environment(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let environment = target_folder().join("tools").join(name);
    // Written last, so that an interrupted installation is done again.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == requirements) {
        return Ok(environment);
    }
    let packages: Vec<&str> = requirements.lines().filter(|line| !line.starts_with('#')).collect();
    let packages = packages.join(", ");
    println!("   installing {packages} (once; 100 MB and more)");
    let created = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment).status();
    ensure!(
        created.context("starting python3")?.success(),
        "python3 -m venv failed (Debian: apt install python3-venv)"
    );
    let wanted = environment.join("requirements.txt");
    fs::write(&wanted, requirements).with_context(|| format!("writing {}", wanted.display()))?;
    let mut install = Command::new(environment.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&wanted);
    ensure!(install.status().context("starting pip")?.success(), "pip could not install {packages}");
    fs::rename(&wanted, &installed).with_context(|| format!("writing {}", installed.display()))?;
    Ok(environment)
}
