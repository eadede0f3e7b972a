//! `cargo xtask tidy`: everything that can be checked without running the code.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::anyhow;
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::step::{self, Outcome, cargo};
use crate::tools::{DENY, MACHETE, Tool};

/// Above this many lines a file is mentioned, so that somebody asks whether it does one job.
const LONG_FILE_LINES: usize = 400;

type Step = fn(&str) -> Outcome;

/// Runs every step, also after one that failed; whether none failed. What is no work for Cargo runs beside it.
pub(crate) fn run() -> bool {
    let beside: [(&str, Step); 2] =
        [("deployment templates", crate::deploy::templates), ("CDK constructs", crate::deploy::constructs)];
    let of_cargo: [(&str, Step); 12] = [
        ("format", format),
        ("clippy", clippy),
        ("documentation", documentation),
        ("circles", crate::circles::check),
        ("examples and generated documents", examples_and_documents),
        ("fuzz target", fuzz_target),
        ("book of all pages", crate::book::check),
        ("unused dependencies", unused_dependencies),
        ("bans, licences, sources", bans_licences_sources),
        ("advisories", advisories),
        ("third-party notices", crate::notices::check),
        ("long files", long_files),
    ];
    let outcomes = thread::scope(|scope| {
        let beside = scope.spawn(|| beside.map(outcome));
        let mut outcomes = of_cargo.map(outcome).to_vec();
        match beside.join() {
            Ok(others) => outcomes.extend(others),
            Err(_) => outcomes.push(("what runs beside Cargo", Outcome::Failed)),
        }
        outcomes
    });
    println!("── tidy");
    for (name, outcome) in &outcomes {
        println!("   {name}: {outcome:?}");
    }
    outcomes.iter().all(|(_, outcome)| *outcome != Outcome::Failed)
}

fn outcome((name, step): (&'static str, Step)) -> (&'static str, Outcome) {
    (name, step(name))
}

fn format(name: &str) -> Outcome {
    step::run(name, cargo(&["fmt", "--all", "--check"]))
}

fn clippy(name: &str) -> Outcome {
    let arguments = ["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    step::run(name, cargo(&arguments))
}

fn documentation(name: &str) -> Outcome {
    let mut command = cargo(&["doc", "--quiet", "--no-deps", "--workspace", "--all-features"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    step::run(name, command)
}

/// The tests of the configuration hold every example to loader and schema, and the generated documents to their
/// source. They need neither AWS crates nor engines, so they are run instead of the whole program.
fn examples_and_documents(name: &str) -> Outcome {
    step::run(name, cargo(&["test", "--quiet", "-p", "streamdex-config", "--test", "main"]))
}

/// It is a separate workspace, because it needs a nightly compiler. Here it is only built.
fn fuzz_target(name: &str) -> Outcome {
    let nightly = Command::new("rustup").args(["run", "nightly", "cargo", "--version"]).stdout(Stdio::null()).status();
    if !nightly.is_ok_and(|status| status.success()) {
        return step::not_run(name, "not built, there is no nightly toolchain");
    }
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    // The pinned toolchain's variables would send the nightly cargo to the wrong compiler.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command.current_dir(workspace_folder()).env("CARGO_TARGET_DIR", target_folder().join("fuzz"));
    step::run(name, command)
}

fn unused_dependencies(name: &str) -> Outcome {
    with_tool(&MACHETE, name, |command| command.arg("--skip-target-dir"))
}

fn bans_licences_sources(name: &str) -> Outcome {
    // It looks at crates of every platform, and a build has fetched those of this one alone.
    let mut fetch = cargo(&["fetch", "--locked", "--quiet"]);
    if !fetch.status().is_ok_and(|status| status.success()) {
        return step::failed(name, &anyhow!("the dependencies cannot be fetched"));
    }
    with_tool(&DENY, name, |command| {
        command.args(["--offline", "--all-features", "check", "--hide-inclusion-graph"]);
        command.args(["bans", "licenses", "sources"])
    })
}

/// The advisory database is a git repository, which not every machine can reach.
fn advisories(name: &str) -> Outcome {
    let Ok(program) = DENY.program() else { return Outcome::Failed };
    let mut fetch = Command::new(program);
    fetch.current_dir(workspace_folder()).args(["fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !fetch.status().is_ok_and(|status| status.success()) {
        return step::not_run(name, "not checked, the advisory database could not be fetched");
    }
    with_tool(&DENY, name, |command| command.args(["--all-features", "check", "--disable-fetch", "advisories"]))
}

fn with_tool(tool: &Tool, name: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Outcome {
    match tool.program() {
        Ok(program) => {
            let mut command = Command::new(program);
            arguments(command.current_dir(workspace_folder()));
            step::run(name, command)
        }
        Err(error) => step::failed(name, &error),
    }
}

/// A report, not a rule: it never fails.
fn long_files(name: &str) -> Outcome {
    println!("── {name} (above {LONG_FILE_LINES} lines)");
    let mut files = Vec::new();
    for folder in ["crates", "tests", "xtask", "bench", "demo"] {
        source_files(&workspace_folder().join(folder), &mut files);
    }
    let lines = |path: &PathBuf| fs::read_to_string(path).map_or(0, |text| text.lines().count());
    for path in files {
        let lines = lines(&path);
        if lines > LONG_FILE_LINES {
            let shown = path.strip_prefix(workspace_folder()).unwrap_or(&path);
            println!("   {lines:5} {}", shown.display());
        }
    }
    Outcome::Passed
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
}
