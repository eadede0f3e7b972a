//! Results on stdout, and notes beside them on stderr.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::exit::{CliError, Exit};
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

/// A count as a number. The standard library converts seconds alone, and without a word about what is lost.
pub fn approximate(number: u64) -> f64 {
    Duration::from_secs(number).as_secs_f64()
}

/// A size for people.
pub fn size(bytes: f64) -> String {
    if bytes < 1e6 {
        format!("{:.1} KB", bytes / 1e3)
    } else if bytes < 1e9 {
        format!("{:.1} MB", bytes / 1e6)
    } else {
        format!("{:.1} GB", bytes / 1e9)
    }
}

/// A time for people: seconds since 1970 as `2026-11-28T10:00:00Z`.
pub fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).ok();
    let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| "an unknown time".to_owned())
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

/// Where lines are written one by one.
pub type Lines = BufWriter<Box<dyn Write + Send>>;

/// Opens a file for lines; `-` is stdout.
///
/// # Errors
/// The file cannot be made.
pub fn file(path: &Path) -> Result<Lines, CliError> {
    if path == Path::new("-") {
        return Ok(BufWriter::new(Box::new(io::stdout())));
    }
    let failed =
        |error: io::Error| CliError::new(Exit::Usage, format!("cannot write {}", path.display())).caused_by(error);
    Ok(BufWriter::new(Box::new(File::create(path).map_err(failed)?)))
}
