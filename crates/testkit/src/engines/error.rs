//! Errors of engines, which say what to install.

use std::io;

/// Why an engine cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A tool that the engine needs is not on this machine.
    #[error("{engine} needs {tool}")]
    Missing {
        /// The engine's label, as `OpenSearch 3.8.0`.
        engine: String,
        /// The tool, as `a JDK 21 or newer`.
        tool: String,
    },
    /// The download failed.
    #[error("{engine} could not be fetched: {detail}")]
    Fetch {
        /// The engine's label.
        engine: String,
        /// The end of what the fetching tool printed.
        detail: String,
    },
    /// The process did not come up.
    #[error("{engine} did not start: {detail}")]
    Start {
        /// The engine's label.
        engine: String,
        /// What happened, with the end of the engine's log.
        detail: String,
    },
    /// The file system refused something.
    #[error("{what}: {detail}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's words.
        detail: String,
    },
}

impl EngineError {
    pub(crate) fn io(what: impl Into<String>, error: &io::Error) -> Self {
        Self::Io { what: what.into(), detail: error.to_string() }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { tool, .. } if tool.contains("JDK") => {
                "install a JDK of that version or newer; it need not be the default one, JAVA_HOME, PATH and the \
                 system's JVM folders are looked through"
            }
            Self::Missing { tool, .. } if tool.contains("mvn") => "install Apache Maven (Debian: apt install maven)",
            Self::Missing { tool, .. } if tool.contains("faketime") => {
                "install libfaketime (Debian: apt install faketime)"
            }
            Self::Missing { tool, .. } if tool.contains("chromium") => {
                "install Chromium (Debian: apt install chromium)"
            }
            Self::Missing { .. } => "install Python 3 with venv (Debian: apt install python3-venv)",
            Self::Fetch { .. } => "look at the network and the proxy settings of the tool, then run it again",
            Self::Start { .. } => "read the end of the log above; little memory and taken ports are the usual causes",
            Self::Io { .. } => "look at the free space and the permissions of the target folder",
        }
    }
}
