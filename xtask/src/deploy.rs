//! The templates, image and compose file of `deploy/`, checked without AWS and Docker by Python tools in their
//! own environment.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::step::{self, Outcome};
use crate::tools::python_environment;

/// cfn-lint, checkov, the SAM transform, moto, hadolint and our own rules.
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

/// The environment with the pinned tools.
fn environment() -> anyhow::Result<PathBuf> {
    let pins = workspace_folder().join("deploy/check/requirements.txt");
    let wanted = fs::read_to_string(&pins).with_context(|| format!("reading {}", pins.display()))?;
    python_environment("templates", &wanted)
}
