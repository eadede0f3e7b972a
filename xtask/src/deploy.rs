//! The templates of `deploy/`, checked without AWS by Python tools in an environment of their own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::step::{self, Outcome};

/// cfn-lint, checkov and the SAM transform, over all templates.
pub(crate) fn templates(name: &str) -> Outcome {
    let python = Command::new("python3").args(["-c", "import venv"]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("── {name}\n   {name}: not checked, there is no Python 3 with venv");
        return Outcome::NotRun;
    }
    let environment = match environment() {
        Ok(environment) => environment,
        Err(error) => {
            println!("── {name}\n   {name}: {error:#}");
            return Outcome::Failed;
        }
    };
    let mut check = Command::new(environment.join("bin/python"));
    // Python would leave its caches among the sources.
    check.arg("-B").arg(workspace_folder().join("deploy/check/check.py")).arg(target_folder().join("deploy"));
    step::run(name, check)
}

/// The environment with the pinned tools; made anew when the pins change.
fn environment() -> anyhow::Result<PathBuf> {
    let pins = workspace_folder().join("deploy/check/requirements.txt");
    let wanted = fs::read_to_string(&pins).with_context(|| format!("reading {}", pins.display()))?;
    let environment = target_folder().join("tools/templates");
    // Written last, so that an interrupted installation is done again.
    let installed = environment.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(environment);
    }
    println!("   installing cfn-lint, checkov and aws-sam-translator (once)");
    let created = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment).status();
    ensure!(
        created.context("starting python3")?.success(),
        "python3 -m venv failed (Debian: apt install python3-venv)"
    );
    let mut install = Command::new(environment.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&pins);
    ensure!(install.status().context("starting pip")?.success(), "pip could not install {}", pins.display());
    fs::write(&installed, wanted).with_context(|| format!("writing {}", installed.display()))?;
    Ok(environment)
}
