//! Loads a file into a checked configuration, or reports all its problems.

use std::path::Path;

use crate::check;
use crate::model::Config;
use crate::problem::{ConfigError, Problem, Problems};
use crate::raw::Root;
use crate::read::Read;
use crate::{text, tree};

/// A configuration, and what is doubtful in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// What works, and is hardly meant.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the file at `path`. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// The file cannot be read, or has problems: then all of them.
    pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
        let text = std::fs::read(path)
            .and_then(text::decode)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let base_dir = path.parent().unwrap_or(Path::new(""));
        Config::parse(&text, base_dir, &|name| std::env::var(name).ok())
    }

    /// Reads `text`. Relative paths in it start at `base_dir`, variables are asked of `env`; nothing else
    /// but the `mapping_file`s is looked at.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(text: &str, base_dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
        let mut problems = Problems::default();
        let config = tree::parse(text, env, &mut problems)
            .and_then(|root| Root::read(&root, &mut problems))
            .and_then(|root| check::config(&root, base_dir, &mut problems));
        let (mut errors, warnings) = problems.finish();
        match config {
            Some(config) if errors.is_empty() => Ok(Loaded { config, warnings }),
            _ => {
                // The same unset variable in one value, say, is one problem.
                errors.dedup();
                Err(ConfigError::Problems(errors))
            }
        }
    }
}
