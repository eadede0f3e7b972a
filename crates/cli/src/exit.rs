//! The exit status of a command, and the error type of all commands.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use streamdex_config::{ConfigError, Problem};
use streamdex_delivery::DeliveryFault;
use streamdex_delivery::letter::LetterError;
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::table::TableError;
use streamdex_poller::closing::CloseError;
use streamdex_poller::follow::FollowError;
use streamdex_sink::index::SetupErrorKind;
use streamdex_sink::{ClientError, SetupError};

/// The exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: done, and some records are dead letters or bad.
    DeadLetters,
    /// 2: wrong usage or configuration.
    Usage,
    /// 3: a source or sink could not be reached, or refused.
    Unreachable,
    /// 4: nothing is left to follow but gaps.
    Gapped,
}

/// Why a command failed: what the operator reads, and the exit status.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
    closed_pipe: bool,
    problems: Vec<Problem>,
}

// === impl Exit ===

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::DeadLetters => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Gapped => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

// === impl CliError ===

impl CliError {
    /// An error with this message.
    pub fn new(exit: Exit, message: impl Into<String>) -> CliError {
        CliError { exit, message: message.into(), hint: None, source: None, closed_pipe: false, problems: Vec::new() }
    }

    /// Adds what to do, in one sentence.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause; it is shown after the message.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> CliError {
        self.source = Some(source.into());
        self
    }

    /// The same, with the file that it is about before its message.
    #[must_use]
    pub(crate) fn in_file(self, path: &Path) -> CliError {
        CliError { message: format!("{}: {}", path.display(), self.message), ..self }
    }

    /// A failed write to stdout. A closed pipe is not a failure.
    pub fn stdout(error: io::Error) -> CliError {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return CliError { closed_pipe: true, ..CliError::new(Exit::Done, "stdout was closed") };
        }
        CliError::new(Exit::Unreachable, "cannot write to stdout").caused_by(error)
    }

    /// The exit status.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do, in one sentence.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The problems of the configuration, where they are why.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether stdout was closed: the command ends without a word.
    pub fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        let hint = error.hint();
        match error {
            ConfigError::Unreadable { path, source } => {
                CliError::new(Exit::Usage, format!("cannot read the configuration file {}", path.display()))
                    .caused_by(source)
                    .with_hint(hint)
            }
            other => CliError {
                problems: other.problems().to_vec(),
                ..CliError::new(Exit::Usage, other.to_string()).with_hint(hint)
            },
        }
    }
}

impl From<streamdex_reconcile::Fault> for CliError {
    fn from(fault: streamdex_reconcile::Fault) -> CliError {
        let hint = fault.hint();
        match fault {
            streamdex_reconcile::Fault::Delivery(fault) => fault.into(),
            other => CliError::new(Exit::Unreachable, other.to_string()).with_hint(hint),
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> CliError {
        let exit = match error {
            ClientError::Build { .. } | ClientError::CaFile { .. } => Exit::Usage,
            _ => Exit::Unreachable,
        };
        CliError::new(exit, error.to_string()).with_hint(error.hint())
    }
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> CliError {
        CliError::new(exit_of_setup(&error), error.to_string()).with_hint(error.hint())
    }
}

/// The exit status of a failed index set-up.
pub(crate) fn exit_of_setup(error: &SetupError) -> Exit {
    match error.kind() {
        SetupErrorKind::Transient | SetupErrorKind::Credentials | SetupErrorKind::Endpoint => Exit::Unreachable,
        SetupErrorKind::Gap => Exit::Gapped,
        _ => Exit::Usage,
    }
}

impl From<AwsError> for CliError {
    fn from(error: AwsError) -> CliError {
        CliError::new(Exit::Unreachable, error.to_string()).with_hint(error.hint())
    }
}

impl From<TableError> for CliError {
    fn from(error: TableError) -> CliError {
        let exit = match error {
            TableError::Aws(_) => Exit::Unreachable,
            _ => Exit::Usage,
        };
        CliError::new(exit, error.to_string()).with_hint(error.hint())
    }
}

impl From<DeliveryFault> for CliError {
    fn from(fault: DeliveryFault) -> CliError {
        let exit = match &fault {
            DeliveryFault::Configuration(_) | DeliveryFault::NoReader => Exit::Usage,
            DeliveryFault::Setup(error) => exit_of_setup(error),
            DeliveryFault::Letters(LetterError::State(error)) => exit_of_state(error),
            _ => Exit::Unreachable,
        };
        CliError::new(exit, fault.to_string()).with_hint(fault.hint())
    }
}

impl From<FollowError> for CliError {
    fn from(error: FollowError) -> CliError {
        let exit = match &error {
            FollowError::State(error) => exit_of_state(error),
            FollowError::OtherGeneration { .. } | FollowError::OtherCluster { .. } => Exit::Gapped,
            _ => Exit::Unreachable,
        };
        CliError::new(exit, error.to_string()).with_hint(error.hint())
    }
}

impl From<CloseError> for CliError {
    fn from(error: CloseError) -> CliError {
        let exit = match &error {
            CloseError::State(error) => exit_of_state(error),
            CloseError::NeverRead => Exit::Usage,
            _ => Exit::Unreachable,
        };
        CliError::new(exit, error.to_string()).with_hint(error.hint())
    }
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> CliError {
        CliError::new(exit_of_state(&error), error.to_string()).with_hint(error.hint())
    }
}

impl From<LetterError> for CliError {
    fn from(error: LetterError) -> CliError {
        let exit = match &error {
            LetterError::State(error) => exit_of_state(error),
            _ => Exit::Usage,
        };
        CliError::new(exit, error.to_string()).with_hint(error.hint())
    }
}

fn exit_of_state(error: &StateError) -> Exit {
    match error {
        StateError::Aws { .. } => Exit::Unreachable,
        _ => Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_the_message() {
        let error =
            CliError::new(Exit::Usage, "cannot read").caused_by(io::Error::other("no disk")).with_hint("buy one");
        assert_eq!(
            (error.to_string().as_str(), error.hint(), error.exit().code()),
            ("cannot read: no disk", Some("buy one"), 2)
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = CliError::stdout(io::ErrorKind::BrokenPipe.into());
        assert!(error.is_closed_pipe());
        assert_eq!(error.exit(), Exit::Done);
        assert_eq!(CliError::stdout(io::ErrorKind::StorageFull.into()).exit(), Exit::Unreachable);
    }
}
