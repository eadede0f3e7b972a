//! The problems of a file. Each has a place, a message and, if known, a remedy.

use std::fmt;
use std::path::PathBuf;

/// Where something stands in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// `route[0].ttl.on_expiry`; empty for the file as a whole.
    pub(crate) path: String,
    /// Counted from 1; `None` for what is not there.
    pub(crate) line: Option<usize>,
}

/// One thing that is wrong, or, as a warning, doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place as a TOML path (`route[0].ttl.on_expiry`); empty for the file as a whole.
    pub path: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong. Never quotes a value that came from the environment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read, and these are all its problems, by line.
    #[error("{}", Listed(.0))]
    Problems(Vec<Problem>),
}

/// Collects problems and warnings while a file is walked.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

struct Listed<'a>(&'a [Problem]);

// === impl Place ===

impl Place {
    /// The place of `key` below this one, as it is written in TOML.
    pub(crate) fn key(&self, key: &str, line: Option<usize>) -> Place {
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let written = if bare { key.to_owned() } else { format!("{key:?}") };
        let path = if self.path.is_empty() { written } else { format!("{}.{written}", self.path) };
        Place { path, line }
    }

    /// The place of an array's element.
    pub(crate) fn element(&self, index: usize, line: Option<usize>) -> Place {
        Place { path: format!("{}[{index}]", self.path), line }
    }
}

// === impl Problem ===

impl fmt::Display for Problem {
    /// `line 7, route[0].when: message`, then the hint on a separate line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.path.is_empty()) {
            (Some(line), true) => write!(f, "line {line}: ")?,
            (Some(line), false) => write!(f, "line {line}, {}: ", self.path)?,
            (None, true) => {}
            (None, false) => write!(f, "{}: ", self.path)?,
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

// === impl ConfigError ===

impl ConfigError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            ConfigError::Unreadable { .. } => "name the file with --config FILE or STREAMDEX_CONFIG=FILE".to_owned(),
            ConfigError::Problems(_) => {
                "correct these places; `streamdex config schema` describes every key".to_owned()
            }
        }
    }

    /// The problems; empty where the file could not be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            ConfigError::Unreadable { .. } => &[],
            ConfigError::Problems(problems) => problems,
        }
    }
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} problem{} in the configuration", if count == 1 { "" } else { "s" })?;
        for problem in self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

// === impl Problems ===

impl Problems {
    /// An error without a remedy beyond its message.
    pub(crate) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.errors.push(problem(place, message.into(), None));
    }

    /// An error with its remedy.
    pub(crate) fn error_with_hint(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.errors.push(problem(place, message.into(), Some(hint.into())));
    }

    /// Something that works, and is hardly meant.
    pub(crate) fn warning(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(problem(place, message.into(), Some(hint.into())));
    }

    /// A key that has to be there.
    pub(crate) fn missing(&mut self, table: &Place, key: &str) {
        let hint = match (table.path.is_empty(), key) {
            (true, "route") => "add [[route]] with index = \"…\"".to_owned(),
            (true, key) => format!("add [{key}]"),
            (false, key) => format!("add {key} = …"),
        };
        self.error_with_hint(&table.key(key, table.line), "this key is missing", hint);
    }

    /// Whether anything is wrong at `path` or below it.
    pub(crate) fn any_below(&self, path: &str) -> bool {
        self.errors.iter().any(|problem| {
            problem.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Errors and warnings, each in the order of the file.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let in_file_order = |mut problems: Vec<Problem>| {
            problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
            problems
        };
        (in_file_order(self.errors), in_file_order(self.warnings))
    }
}

fn problem(place: &Place, message: String, hint: Option<String>) -> Problem {
    Problem { path: place.path.clone(), line: place.line, message, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_toml_paths() {
        let root = Place::default();
        let index = root.key("index", Some(1)).key("orders-{region}", Some(2)).key("generation", Some(3));
        assert_eq!(index.path, r#"index."orders-{region}".generation"#);
        assert_eq!(root.key("route", None).element(1, None).key("when", None).path, "route[1].when");
    }

    #[test]
    fn a_place_is_below_another_by_whole_steps() {
        let mut problems = Problems::default();
        problems.error(&Place { path: "route[10].when".into(), line: None }, "x");
        assert!(problems.any_below("route[10]"));
        assert!(!problems.any_below("route[1]"));
    }
}
