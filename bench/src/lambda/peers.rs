//! Third-party functions, installed from npm and PyPI into the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use streamdex_testkit::engines::pip_install;

use super::contender::{Contender, plain};
use crate::peers::{copied, run};
use crate::search::Bench;

/// `dynamodb-stream-elasticsearch` of npm.
pub(crate) fn node(bench: &Bench) -> anyhow::Result<Contender> {
    let folder = copied(bench, "node")?;
    run(Command::new("npm").args(["ci", "--silent", "--ignore-scripts"]).current_dir(&folder))?;
    let program = script(&folder, "node --no-deprecation", "bootstrap.mjs")?;
    Contender::new(bench, ("`dynamodb-stream-elasticsearch` 3.3.1 (Node.js)", "node"), move |folder, url| {
        Ok(plain(&program, folder, url, "node"))
    })
}

/// boto3's `TypeDeserializer` and opensearch-py.
pub(crate) fn python(bench: &Bench) -> anyhow::Result<Contender> {
    let folder = copied(bench, "python")?;
    let environment = folder.join("venv");
    let interpreter = environment.join("bin/python");
    if !interpreter.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    run(&mut pip_install(&interpreter, &folder.join("requirements.txt")))?;
    let program = script(&folder, &interpreter.display().to_string(), "bootstrap.py")?;
    Contender::new(bench, ("boto3 `TypeDeserializer`, opensearch-py (Python)", "python"), move |folder, url| {
        Ok(plain(&program, folder, url, "python"))
    })
}

/// What Lambda would start: a program without arguments.
fn script(folder: &Path, interpreter: &str, file: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("bootstrap");
    fs::write(&path, format!("#!/bin/sh\nexec {interpreter} {}\n", folder.join(file).display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
