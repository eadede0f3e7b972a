//! Results on stdout, and notes beside them on stderr.

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::CliError;
use crate::logging::bars;

/// Writes `text` as it is.
///
/// # Errors
/// [`CliError::is_closed_pipe`] where the reader has gone away.
pub fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

/// Writes `bytes` as they are.
///
/// # Errors
/// [`CliError::is_closed_pipe`] where the reader has gone away.
pub fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let written = bars().suspend(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    });
    written.map_err(CliError::stdout)
}

/// Writes lines beside the result, to stderr: they belong to what the command says, so they are no log lines.
pub fn note(lines: &str) {
    // Where this fails, nobody is left to report it to.
    let _ = bars().suspend(|| io::stderr().lock().write_all(lines.as_bytes()));
}

/// Writes one JSON object and a line break.
///
/// # Errors
/// [`CliError::is_closed_pipe`] where the reader has gone away.
pub fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let mut line = serde_json::to_vec(value).map_err(|error| CliError::stdout(error.into()))?;
    line.push(b'\n');
    print_bytes(&line)
}
