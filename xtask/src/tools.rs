//! Tools outside of the toolchain: pinned, compiled or installed once, and kept under the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use streamdex_testkit::engines::{pip_install, target_folder};

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
pub(crate) const MDBOOK: Tool =
    Tool { name: "mdbook", version: "0.5.4", options: &["--debug", "--no-default-features", "--features", "search"] };
/// What users install archives with; the dry run of a release does. The newest one that this Rust compiles.
pub(crate) const BINSTALL: Tool = Tool { name: "cargo-binstall", version: "1.20.0", options: &["--debug"] };
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
        // The tools share dependencies.
        install.env("CARGO_TARGET_DIR", target_folder().join("tools/build"));
        let status = install.status().with_context(|| format!("compiling {}", self.name))?;
        ensure!(status.success(), "compiling {} ended with {status}", self.name);
        println!("   compiled {} in {} s", self.name, begun.elapsed().as_secs());
        Ok(program)
    }
}

/// Another way to the function's zip, which the dry run of a release tries.
pub(crate) const CARGO_LAMBDA: PythonPackages = PythonPackages {
    name: "cargo-lambda",
    wanted: include_str!("../requirements/cargo-lambda.in"),
    pinned: include_str!("../requirements/cargo-lambda.txt"),
};

/// Python packages in an environment of their own.
pub(crate) struct PythonPackages {
    /// The folder under `target/tools`.
    pub(crate) name: &'static str,
    /// The list of those that are used: a file `.in`.
    pub(crate) wanted: &'static str,
    /// The file `.txt` that `.ci/pin-python` made of it: all that they draw in, with hashes.
    pub(crate) pinned: &'static str,
}

impl PythonPackages {
    /// The folder of the environment. It is made again when what is pinned changes.
    pub(crate) fn environment(&self) -> anyhow::Result<PathBuf> {
        let environment = target_folder().join("tools").join(self.name);
        // Written last, so that an interrupted installation is done again.
        let installed = environment.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|installed| installed == self.pinned) {
            return Ok(environment);
        }
        let wanted = packages(self.wanted).collect::<Vec<_>>().join(", ");
        println!("   installing {wanted} (once; 100 MB and more)");
        let created = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment).status();
        ensure!(
            created.context("starting python3")?.success(),
            "python3 -m venv failed (Debian: apt install python3-venv)"
        );
        let pinned = environment.join("requirements.txt");
        fs::write(&pinned, self.pinned).with_context(|| format!("writing {}", pinned.display()))?;
        let mut install = pip_install(&environment.join("bin/python"), &pinned);
        ensure!(install.status().context("starting pip")?.success(), "pip could not install {wanted}");
        fs::rename(&pinned, &installed).with_context(|| format!("writing {}", installed.display()))?;
        Ok(environment)
    }
}

/// The packages of a list, as `moto[s3]==5.2.5`.
fn packages(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use streamdex_testkit::engines::workspace_folder;

    use super::*;

    /// The lists of `.ci/pin-python`, without their extension.
    const LISTS: [&str; 7] = [
        "bench/peers/python/requirements",
        "crates/testkit/src/engines/requirements/moto",
        "crates/testkit/src/engines/requirements/osmem",
        "crates/testkit/src/engines/requirements/playwright",
        "deploy/check/requirements",
        "xtask/requirements/cargo-lambda",
        "xtask/requirements/zig",
    ];

    #[test]
    fn what_is_pinned_was_made_of_what_is_wanted() {
        for list in LISTS {
            let read = |extension: &str| fs::read_to_string(workspace_folder().join(list).with_extension(extension));
            let (wanted, pinned) = (read("in").unwrap(), read("txt").unwrap());
            for package in packages(&wanted) {
                let (name, version) = package.split_once("==").unwrap();
                // The extras of a package are packages of their own there.
                let name = name.split('[').next().unwrap();
                let line = format!("{name}=={version} \\");
                assert!(pinned.lines().any(|pinned| pinned == line), "{list}.txt lacks {package}: run .ci/pin-python");
            }
        }
    }
}
