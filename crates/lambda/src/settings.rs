//! Finds the configuration of the function, and refuses what a sandbox cannot do.

use std::path::{Path, PathBuf};

use streamdex_config::{Config, ConfigError, DeadLetterKind, Loaded, is_loopback};
use url::Url;

/// Names a configuration file: absolute, or relative to the function's code.
pub const FILE: &str = "STREAMDEX_CONFIG";
/// Holds the text of a small configuration.
pub const TEXT: &str = "STREAMDEX_CONFIG_TOML";
/// The folder of the function's code: what was in the zip.
const CODE: &str = "LAMBDA_TASK_ROOT";
/// The name of the file where no other is given.
const FILE_NAME: &str = "streamdex.toml";
/// Where layers are unpacked.
const LAYERS: &str = "/opt";
/// Lambda's environment variables hold 4 KB in all, names included.
const LONGEST_TEXT: usize = 3 * 1024;

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// None is given.
    #[error(
        "no configuration: {FILE} is not set to a file, {FILE_NAME} is neither beside the function's code ({}) nor in a layer ({LAYERS}/{FILE_NAME}), and {TEXT} is not set",
        code.display()
    )]
    Missing {
        /// Where a file of the zip was looked for.
        code: PathBuf,
    },
    /// The text is too long for an environment variable.
    #[error(
        "{TEXT} holds {bytes} bytes, but at most {LONGEST_TEXT} are allowed: Lambda's environment holds 4 KB in all"
    )]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It cannot be read, or has problems.
    #[error("{place}: {source}")]
    Config {
        /// The file, or the variable.
        place: String,
        /// What is wrong, all of it.
        source: ConfigError,
    },
    /// Dead letters would be lost with the sandbox.
    #[error("dead_letter.kind = \"file\" does not work in a Lambda function: its disk is lost with the sandbox")]
    FileLetters,
}

/// Finds, reads and checks the configuration.
///
/// # Errors
/// See [`SettingsError`].
pub fn load(env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, SettingsError> {
    let loaded = match choose(env, &|path| path.is_file())? {
        Origin::File(path) => {
            Config::load(&path).map_err(|source| SettingsError::Config { place: path.display().to_string(), source })?
        }
        Origin::Text(text) => Config::parse(&text, &code(env), env)
            .map_err(|source| SettingsError::Config { place: TEXT.to_owned(), source })?,
    };
    check_letters(&loaded.config)?;
    Ok(loaded)
}

/// The file that is named, else the one beside the code, else the one of a layer, else the text.
///
/// # Errors
/// [`SettingsError::Missing`], [`SettingsError::TooLong`].
pub fn choose(env: &dyn Fn(&str) -> Option<String>, is_file: &dyn Fn(&Path) -> bool) -> Result<Origin, SettingsError> {
    let code = code(env);
    let given = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(named) = given(FILE) {
        // An absolute path stays what it is. One that is not there is reported when it is read.
        return Ok(Origin::File(code.join(named)));
    }
    for path in [code.join(FILE_NAME), Path::new(LAYERS).join(FILE_NAME)] {
        if is_file(&path) {
            return Ok(Origin::File(path));
        }
    }
    match given(TEXT) {
        None => Err(SettingsError::Missing { code }),
        Some(text) if text.len() > LONGEST_TEXT => Err(SettingsError::TooLong { bytes: text.len() }),
        Some(text) => Ok(Origin::Text(text)),
    }
}

/// Whether a sandbox connects before its first event. With a snapshot (SnapStart), all sandboxes that start from it
/// would share one connection.
pub fn may_connect_first(env: &dyn Fn(&str) -> Option<String>) -> bool {
    env("AWS_LAMBDA_INITIALIZATION_TYPE").as_deref() != Some("snap-start")
}

fn code(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    env(CODE).map(PathBuf::from).unwrap_or_default()
}

/// Letters in a file are for emulators: there the machine outlives the function.
fn check_letters(config: &Config) -> Result<(), SettingsError> {
    let is_emulated = |endpoint: &Option<Url>| endpoint.as_ref().is_some_and(is_loopback);
    let file = matches!(config.dead_letter.kind, DeadLetterKind::File(_));
    if file && !config.sources.iter().all(|source| is_emulated(&source.endpoint_url)) {
        return Err(SettingsError::FileLetters);
    }
    Ok(())
}

// === impl SettingsError ===

impl SettingsError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            SettingsError::Missing { .. } | SettingsError::TooLong { .. } => {
                format!("put the configuration as {FILE_NAME} into the function's zip, or into a layer")
            }
            SettingsError::Config { source: ConfigError::Unreadable { .. }, .. } => {
                format!("{FILE} is a path in the function's zip, or an absolute one: /opt/… for a layer")
            }
            SettingsError::Config { source, .. } => source.hint(),
            SettingsError::FileLetters => {
                "remove [dead_letter], so that dead letters go to the state table; a file is allowed only if every source's endpoint_url is on this machine".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_that_a_snapshot_is_made_of_does_not_connect() {
        for (kind, connects) in [
            (None, true),
            (Some("on-demand"), true),
            (Some("provisioned-concurrency"), true),
            (Some("snap-start"), false),
        ] {
            assert_eq!(may_connect_first(&|_| kind.map(str::to_owned)), connects, "{kind:?}");
        }
    }

    const MINIMAL: &str =
        "source = { table = 'orders' }\nopensearch = { url = 'http://127.0.0.1:9200' }\nroute = [{ index = 'i' }]\n";

    fn chosen(variables: &[(&str, &str)], files: &[&str]) -> Result<Origin, SettingsError> {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        choose(&env, &|path| files.iter().any(|file| Path::new(file) == path))
    }

    fn file(path: &str) -> Origin {
        Origin::File(path.into())
    }

    #[test]
    fn the_nearest_configuration_is_taken() {
        let code = ("LAMBDA_TASK_ROOT", "/var/task");
        let both = ["/var/task/streamdex.toml", "/opt/streamdex.toml"];
        let text = (TEXT, "x");
        let rows: [(&[_], &[&str], Origin); 7] = [
            (&[code, (FILE, "conf/a.toml"), text], &both, file("/var/task/conf/a.toml")),
            (&[code, (FILE, "/opt/b.toml")], &both, file("/opt/b.toml")),
            (&[(FILE, "a.toml")], &[], file("a.toml")),
            (&[code, text], &both, file("/var/task/streamdex.toml")),
            (&[code, (FILE, ""), text], &["/opt/streamdex.toml"], file("/opt/streamdex.toml")),
            (&[code, text], &[], Origin::Text("x".into())),
            (&[text], &["streamdex.toml"], file("streamdex.toml")),
        ];
        for (variables, files, expected) in rows {
            assert_eq!(chosen(variables, files).unwrap(), expected, "{variables:?} {files:?}");
        }
    }

    #[test]
    fn none_names_every_place() {
        let error = chosen(&[("LAMBDA_TASK_ROOT", "/var/task"), (TEXT, "")], &[]).unwrap_err();
        let text = error.to_string();
        for place in ["STREAMDEX_CONFIG is not set", "/var/task", "/opt/streamdex.toml", "STREAMDEX_CONFIG_TOML"] {
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_refused_with_the_way_out() {
        let long = "#".repeat(LONGEST_TEXT + 1);
        let error = chosen(&[(TEXT, &long)], &[]).unwrap_err();
        assert!(error.to_string().contains("4 KB in all"), "{error}");
        assert!(error.hint().contains("zip") && error.hint().contains("layer"));
        assert!(chosen(&[(TEXT, &long[1..])], &[]).is_ok());
    }

    #[test]
    fn problems_are_all_told_with_their_place() {
        let env = |name: &str| (name == TEXT).then(|| "source = { tabel = 'orders' }\n".to_owned());
        let error = load(&env).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("STREAMDEX_CONFIG_TOML: ") && text.contains("tabel"), "{text}");
        assert!(text.contains("opensearch") && text.contains("route"), "{text}");
        let env = |name: &str| (name == FILE).then(|| "/nowhere/streamdex.toml".to_owned());
        assert!(load(&env).unwrap_err().to_string().contains("/nowhere/streamdex.toml"));
    }

    #[test]
    fn letters_go_to_a_file_beside_emulators_alone() {
        let with = |more: &str| {
            let text = format!("{MINIMAL}{more}");
            let env = move |name: &str| (name == TEXT).then(|| text.clone());
            load(&env)
        };
        assert!(with("").is_ok());
        let letters = "dead_letter = { kind = 'file', path = 'letters.ndjson' }\n";
        assert!(matches!(with(letters), Err(SettingsError::FileLetters)));
        let emulated = MINIMAL.replace("table = 'orders'", "table = 'orders', endpoint_url = 'http://127.0.0.1:8000'");
        let env = |name: &str| (name == TEXT).then(|| format!("{emulated}{letters}"));
        assert!(load(&env).is_ok());
    }
}
