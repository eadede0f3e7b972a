//! Finds the configuration of a command.

use std::path::{Path, PathBuf};

use streamdex_config::{Config, Loaded, Source};

use crate::args::Global;
use crate::exit::{CliError, Exit};

const FILE: &str = "STREAMDEX_CONFIG";
const TEXT: &str = "STREAMDEX_CONFIG_TOML";
/// In the current folder.
const NEAR: &str = "streamdex.toml";

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    File(PathBuf),
    /// The text itself, in `STREAMDEX_CONFIG_TOML`.
    Environment(String),
}

/// The configuration; its warnings are logged.
///
/// # Errors
/// None is named, or it has problems.
pub fn configuration(global: &Global) -> Result<Config, CliError> {
    let loaded = load(&origin(global)?)?;
    for warning in &loaded.warnings {
        tracing::warn!(
            place = warning.path,
            line = warning.line,
            hint = warning.hint,
            "configuration: {}",
            warning.message
        );
    }
    Ok(loaded.config)
}

/// The source that `--source` names, or the only one.
///
/// # Errors
/// There is no such source, or there are several and none is named.
pub fn source<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a Source, CliError> {
    let known: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let known = known.join(", ");
    match (name, config.sources.as_slice()) {
        (None, [source]) => Ok(source),
        (None, _) => Err(CliError::new(Exit::Usage, "there are several sources")
            .with_hint(format!("name one with --source: {known}"))),
        (Some(name), sources) => sources.iter().find(|source| source.name == name).ok_or_else(|| {
            CliError::new(Exit::Usage, format!("there is no source {name:?}")).with_hint(format!("sources: {known}"))
        }),
    }
}

pub(crate) fn load(origin: &Origin) -> Result<Loaded, CliError> {
    let loaded = match origin {
        Origin::File(path) => Config::load(path),
        Origin::Environment(text) => Config::parse(text, Path::new(""), &|name| std::env::var(name).ok()),
    };
    loaded.map_err(|error| {
        let mut error = CliError::from(error);
        if let Origin::File(path) = origin
            && !error.to_string().contains(&path.display().to_string())
        {
            error = error.in_file(path);
        }
        error
    })
}

/// The command line goes before the environment.
pub(crate) fn origin(global: &Global) -> Result<Origin, CliError> {
    choose(global.config.as_deref(), &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn choose(argument: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Origin, CliError> {
    match (argument, env(FILE), env(TEXT)) {
        (Some(path), _, _) => Ok(Origin::File(path.to_owned())),
        (None, Some(path), None) => Ok(Origin::File(path.into())),
        (None, None, Some(text)) => Ok(Origin::Environment(text)),
        (None, Some(_), Some(_)) => Err(CliError::new(Exit::Usage, format!("both {FILE} and {TEXT} are set"))
            .with_hint("unset one of them, or use --config FILE")),
        (None, None, None) => {
            // What `init` writes by default.
            let example = if Path::new(NEAR).is_file() { NEAR } else { "FILE" };
            let hint = format!("give its file with --config {example} or {FILE}={example}");
            Err(CliError::new(Exit::Usage, "no configuration").with_hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_environment() {
        let both = |name: &str| Some(format!("of {name}"));
        let none = |_: &str| None;
        let only = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "x".to_owned());
        assert_eq!(choose(Some(Path::new("a")), &both).unwrap(), Origin::File("a".into()));
        assert_eq!(choose(None, &only(FILE)).unwrap(), Origin::File("x".into()));
        assert_eq!(choose(None, &only(TEXT)).unwrap(), Origin::Environment("x".into()));
        assert!(choose(None, &both).unwrap_err().to_string().contains("both"));
        assert_eq!(choose(None, &none).unwrap_err().exit(), Exit::Usage);
    }
}
