//! Compiles for other machines without Docker: rustup has the targets, and zig, from PyPI, is the C compiler and linker
//! for all of them. The only C code is aws-lc, which needs no more than that.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::elf;
use crate::tools::{AUDITABLE, PythonPackages};

const TOOLS: PythonPackages = PythonPackages {
    name: "zig",
    wanted: include_str!("../requirements/zig.in"),
    pinned: include_str!("../requirements/zig.txt"),
};
const PROFILE: &str = "packaged";

/// A processor, as AWS Lambda names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    /// Intel and AMD
    #[value(name = "x86_64")]
    X86_64,
    /// Graviton
    Arm64,
}

/// The minor version of glibc 2 that a program needs, or a newer one. With musl inside, a program runs anywhere, and maps
/// 2.6 times slower: its ways to copy and compare memory and its allocator are made to be small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glibc(pub(crate) u32);

// === impl Architecture, Glibc ===

impl Architecture {
    /// Its name in folders and in AWS's parameters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Arm64 => "arm64",
        }
    }

    /// The triple of Rust's target.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64-unknown-linux-gnu",
            Architecture::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// A way to run its programs here, if there is one: a prefix of the command line.
    fn runner(self) -> Option<Vec<OsString>> {
        match (self, std::env::consts::OS, std::env::consts::ARCH) {
            (Architecture::X86_64, "linux", "x86_64") | (Architecture::Arm64, "linux", "aarch64") => Some(Vec::new()),
            (Architecture::Arm64, "linux", _) => {
                let found = Command::new("qemu-aarch64").arg("--version").output();
                // Where Debian puts the libraries of that machine.
                found.is_ok().then(|| ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"].map(OsString::from).into())
            }
            _ => None,
        }
    }

    /// A command that runs `program` here, if one can.
    pub(crate) fn command(self, program: &Path) -> Option<Command> {
        let mut words = self.runner()?;
        words.push(program.into());
        let (first, rest) = words.split_first()?;
        let mut command = Command::new(first);
        command.args(rest).env_clear();
        Some(command)
    }
}

impl Glibc {
    /// Fails if a program needs a newer one.
    pub(crate) fn suffices(self, program: &Path) -> anyhow::Result<()> {
        let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
        let (needs, Glibc(minor)) = (elf::glibc_needed(&bytes)?, self);
        ensure!(needs <= minor, "{} needs glibc 2.{needs}, but its target has 2.{minor}", program.display());
        Ok(())
    }
}

/// Compiles a program of this workspace and checks what it needs of the machine it will run on.
pub(crate) fn build(
    package: &str,
    program: &str,
    architecture: Architecture,
    library: Glibc,
) -> anyhow::Result<PathBuf> {
    let triple = architecture.triple();
    let tools = TOOLS.environment()?.join("bin");
    let added = Command::new("rustup").args(["target", "add", triple]).current_dir(workspace_folder()).status();
    ensure!(
        added.context("starting rustup, which has the target's standard library")?.success(),
        "rustup target add {triple}"
    );
    let target = format!("{triple}.2.{}", library.0);
    println!("── compiling {program} for {target} (some minutes)");
    // It calls `cargo zigbuild`, and that cargo with what it adds.
    let auditable = AUDITABLE.program()?;
    let mut build = Command::new(&auditable);
    build.args(["auditable", "zigbuild", "--locked", "--profile", PROFILE, "--target", &target]);
    build.args(["--package", package, "--bin", program]).arg("--target-dir").arg(target_folder());
    build.current_dir(workspace_folder()).env("PATH", with_first(&tools)?).env("RUSTFLAGS", without_local_paths()?);
    let status = build.status().context("starting cargo-zigbuild")?;
    ensure!(status.success(), "compiling {program} ended with {status}");
    let built = target_folder().join(triple).join(PROFILE).join(program);
    library.suffices(&built)?;
    Ok(built)
}

/// `PATH` with a folder before all others.
pub(crate) fn with_first(folder: &Path) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&path)))?)
}

/// Panics and logs name sources; where those lay on this machine is nobody's business, and would make the same
/// sources another program.
fn without_local_paths() -> anyhow::Result<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).context("no home folder")?;
    let local = [(home, "cargo"), (workspace_folder(), "streamdex")];
    let flags = local.iter().map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()));
    Ok(flags.collect::<Vec<_>>().join(" "))
}

/// A program's size for people.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}
