//! The binaries that are measured: the one that was built with this program, and one of an earlier version.

use std::path::{Path, PathBuf};
use std::process::Command;

use streamdex_testkit::engines::child_environment;

/// One `streamdex`.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// For tables.
    pub(crate) title: &'static str,
    /// Among the names of files, and of the state table: two versions never share one.
    pub(crate) name: &'static str,
    path: PathBuf,
    /// The processors that it may run on, as `taskset` takes them.
    cores: Option<&'static str>,
}

/// What takes turns in every round.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) now: Program,
    earlier: Option<Program>,
}

// === impl Program ===

impl Program {
    fn new(title: &'static str, name: &'static str, path: PathBuf) -> Program {
        Program { title, name, path, cores: None }
    }

    /// The same, on these processors alone.
    pub(crate) fn on_cores(&self, cores: &'static str) -> Program {
        Program { cores: Some(cores), ..self.clone() }
    }

    /// A command with this configuration.
    pub(crate) fn command(&self, config: &Path) -> Command {
        let mut command = match self.cores {
            None => Command::new(&self.path),
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(&self.path);
                command
            }
        };
        command.arg("--config").arg(config).envs(child_environment());
        command
    }
}

// === impl Programs ===

impl Programs {
    /// The binary beside this one, and the one at `baseline`.
    pub(crate) fn find(baseline: Option<&Path>) -> anyhow::Result<Programs> {
        let path = std::env::current_exe()?.with_file_name("streamdex");
        anyhow::ensure!(path.exists(), "{} is not built: use `cargo xtask bench`", path.display());
        let now = Program::new("now", "now", path);
        let earlier = baseline.map(|path| {
            anyhow::ensure!(path.is_file(), "--baseline: {} is no file", path.display());
            Ok(Program::new("earlier", "earlier", path.to_path_buf()))
        });
        Ok(Programs { now, earlier: earlier.transpose()? })
    }

    /// The earlier one first, where there is one.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = &Program> {
        self.earlier.iter().chain(std::iter::once(&self.now))
    }
}
