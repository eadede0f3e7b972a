//! Chromium, as Playwright drives it: for pages that people look at.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::error::EngineError;
use super::package::{ENVIRONMENT, Package};

/// A browser without a window.
#[derive(Debug, Clone)]
pub struct Browser {
    python: PathBuf,
    chromium: PathBuf,
}

const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

impl Browser {
    /// Name and version of what drives it.
    pub const LABEL: &str = Package::PLAYWRIGHT.label();

    /// The browser of this machine.
    ///
    /// # Errors
    /// When it is missing, or what drives it cannot be fetched.
    pub fn find() -> Result<Browser, EngineError> {
        let found = CHROMIUM.iter().map(Path::new).find(|path| path.is_file());
        let missing = || EngineError::Missing { engine: Self::LABEL.to_owned(), tool: "chromium".to_owned() };
        let chromium = found.ok_or_else(missing)?.to_owned();
        let package = Package::PLAYWRIGHT.fetch()?;
        Ok(Browser { python: package.join(ENVIRONMENT).join("bin/python"), chromium })
    }

    /// The program of the browser.
    #[must_use]
    pub fn chromium(&self) -> &Path {
        &self.chromium
    }

    /// Runs a Python program in the environment that has Playwright. Blocks.
    ///
    /// # Errors
    /// When Python cannot be started.
    pub fn run(&self, arguments: &[&str], folder: &Path) -> std::io::Result<Output> {
        // Python would leave its caches among the sources.
        let mut command = Command::new(&self.python);
        command.arg("-B").args(arguments).current_dir(folder).env("CHROMIUM", &self.chromium).output()
    }
}
