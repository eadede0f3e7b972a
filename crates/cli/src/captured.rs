//! Captured records mapped into pages: what `--source` and `--images` ask for, and files of lines.

use std::sync::Arc;

use streamdex_config::Config;
pub(crate) use streamdex_delivery::capture::MappedItem;
use streamdex_delivery::capture::{self, Capture, CaptureError};
use streamdex_mapping::event::CapturedError;
use streamdex_mapping::{Mapper, RecordProblem, Trust};

use crate::exit::{CliError, Exit};
use crate::input::Piece;
use crate::settings;

/// Chooses the source of a record, and maps it.
pub(crate) struct Capturer {
    capturer: capture::Capturer,
    trust: Trust,
}

// === impl Capturer ===

impl Capturer {
    pub(crate) fn new(config: &Config, source: Option<&str>, trust: Trust) -> Result<Capturer, CliError> {
        let mut capturer = capture::Capturer::new(config);
        if let Some(name) = source {
            settings::source(config, Some(name))?;
            let place = config.sources.iter().position(|source| source.name == name);
            capturer = capturer.forced(place.unwrap_or_default());
        }
        Ok(Capturer { capturer, trust })
    }

    /// The mapper of a source, by its place.
    pub(crate) fn mapper(&self, source: usize) -> Option<&Arc<Mapper>> {
        self.capturer.mapper(source)
    }

    /// Maps what is in `piece`.
    ///
    /// # Errors
    /// The input is of no known form, a record names a table that is no source, or the configuration does
    /// not fit the records: nothing of the piece is to be sent.
    pub(crate) fn capture(&self, name: &str, piece: &Piece) -> Result<Capture, CliError> {
        let mut capture = Capture::default();
        match piece {
            Piece::Whole(text) => self.text(text, &mut capture).map_err(|problem| refuse(&problem, name))?,
            Piece::Lines { first, text } => {
                for (offset, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                    let read = match self.text(line, &mut capture) {
                        // One bad line is one bad record.
                        Err(CaptureError::Form(CapturedError::Json { line: at, column })) => {
                            self.unreadable(line, ("broken JSON", at, column), &mut capture)
                        }
                        Err(CaptureError::Form(CapturedError::Unknown)) => {
                            self.unreadable(line, ("unexpected structure", 1, 1), &mut capture)
                        }
                        read => read,
                    };
                    read.map_err(|problem| refuse(&problem, &format!("{name} line {}", first + offset)))?;
                }
            }
        }
        Ok(capture)
    }

    fn text(&self, text: &str, capture: &mut Capture) -> Result<(), CaptureError> {
        match self.capturer.read(text, self.trust, capture)? {
            None => Ok(()),
            Some(event) => match self.capturer.read(&event, self.trust, capture)? {
                None => Ok(()),
                // No destination wraps a failure twice.
                Some(_) => Err(CaptureError::Form(CapturedError::Unknown)),
            },
        }
    }

    fn unreadable(
        &self,
        line: &str,
        (shape, at, column): (&'static str, usize, usize),
        capture: &mut Capture,
    ) -> Result<(), CaptureError> {
        self.capturer.unreadable(line, RecordProblem::Malformed { shape, line: at, column }, capture)
    }
}

fn refuse(problem: &CaptureError, place: &str) -> CliError {
    let hint = match problem {
        CaptureError::UnknownTable { .. } | CaptureError::NoTable => "name the source with --source NAME",
        problem => problem.hint(),
    };
    CliError::new(Exit::Usage, format!("{place}: {problem}")).with_hint(hint)
}
