//! The templates, image and compose file of `deploy/`, checked without AWS and Docker by Python tools in their
//! own environment.

use std::process::{Command, Stdio};

use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::step::{self, Outcome};
use crate::tools::PythonPackages;

const TOOLS: PythonPackages = PythonPackages {
    name: "templates",
    wanted: include_str!("../../deploy/check/requirements.in"),
    pinned: include_str!("../../deploy/check/requirements.txt"),
};

/// cfn-lint, checkov, the SAM transform, moto, hadolint and our own rules.
pub(crate) fn templates(name: &str) -> Outcome {
    let python = Command::new("python3").args(["-c", "import venv"]).stderr(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        return step::not_run(name, "not checked, there is no Python 3 with venv");
    }
    let environment = match TOOLS.environment() {
        Ok(environment) => environment,
        Err(error) => {
            return step::failed(name, &error);
        }
    };
    let mut check = Command::new(environment.join("bin/python"));
    // Python would leave its caches among the sources.
    check.arg("-B").arg(workspace_folder().join("deploy/check/check.py")).arg(target_folder().join("deploy"));
    step::run(name, check)
}

/// The CDK package is built, and what it synthesises is compared with the templates.
pub(crate) fn constructs(name: &str) -> Outcome {
    // CDK needs Node 20.
    let is_there = "parseInt(process.versions.node) >= 20 || process.exit(1)";
    let node = Command::new("node").args(["-e", is_there]).stderr(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        return step::not_run(name, "not checked, there is no Node.js 20 or newer");
    }
    let mut test = Command::new("sh");
    test.args(["-c", "npm ci --no-audit --no-fund --loglevel=error && npm test --silent"]);
    test.current_dir(workspace_folder().join("deploy/cdk"));
    step::run(name, test)
}
