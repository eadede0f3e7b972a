//! Installs pinned Python packages.

use std::path::Path;
use std::process::Command;

/// A command that installs the packages of the file `pinned`, each with a hash that is listed there, into the environment of
/// `interpreter`. Only wheels are taken, so no code of a source archive runs.
#[must_use]
pub fn pip_install(interpreter: &Path, pinned: &Path) -> Command {
    let mut install = Command::new(interpreter);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
    install.args(["--only-binary", ":all:", "--requirement"]).arg(pinned);
    install
}
