//! Results on stdout.

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

/// Writes one JSON object and a line break.
///
/// # Errors
/// [`CliError::is_closed_pipe`] where the reader has gone away.
pub fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let mut line = serde_json::to_vec(value).map_err(|error| CliError::stdout(error.into()))?;
    line.push(b'\n');
    print_bytes(&line)
}
