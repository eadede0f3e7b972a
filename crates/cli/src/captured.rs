//! Maps captured records into pages, as `--source` and `--images` request.

use std::borrow::Cow;
use std::sync::Arc;

use streamdex_config::Config;
pub(crate) use streamdex_delivery::capture::MappedItem;
use streamdex_delivery::capture::{self, Capture, CaptureError};
use streamdex_mapping::event::CapturedError;
use streamdex_mapping::{Mapper, RecordProblem, Trust};

use crate::broken::{isolate, wraps_an_event};
use crate::decode::Decoded;
use crate::exit::{CliError, Exit};
use crate::input::Piece;
use crate::kinesis::came_through_kinesis;
use crate::settings;

/// Chooses the source of a record, and maps it.
pub(crate) struct Capturer {
    capturer: capture::Capturer,
    what_for: CapturedFor,
}

/// What captured records are mapped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CapturedFor {
    /// To be shown as if they came in order from their shard.
    Show,
    /// To be applied as they were recorded.
    Images,
    /// To have their items read.
    Reads,
}

/// Why a text of the input is refused.
enum Refusal {
    Capture(CaptureError),
    /// Records by way of Kinesis, which are ordered by their second alone.
    Kinesis,
}

// === impl Capturer ===

impl Capturer {
    pub(crate) fn new(config: &Config, source: Option<&str>, what_for: CapturedFor) -> Result<Capturer, CliError> {
        let mut capturer = capture::Capturer::new(config);
        if let Some(name) = source {
            settings::source(config, Some(name))?;
            let place = config.sources.iter().position(|source| source.name == name);
            capturer = capturer.forced(place.unwrap_or_default());
        }
        Ok(Capturer { capturer, what_for })
    }

    /// How records are taken.
    pub(crate) fn trust(&self) -> Trust {
        self.what_for.trust()
    }

    /// The key attributes of a source's table, by its place.
    pub(crate) fn set_keys(&mut self, source: usize, keys: Vec<String>) {
        self.capturer.set_keys(source, keys);
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
            Piece::Whole(whole) => {
                let text = isolate(whole).ok_or_else(|| no_text(&format!("{name} line {}", line_of_break(whole))))?;
                self.text(&text, &mut capture).map_err(|problem| refuse(&problem, name))?;
            }
            Piece::Lines { first, lines } => {
                for (offset, line) in lines.iter().enumerate().filter(|(_, line)| !line.text.trim().is_empty()) {
                    let place = format!("{name} line {}", first + offset);
                    if !line.broken.is_empty() && wraps_an_event(line) {
                        return Err(no_text(&place));
                    }
                    self.line(line, &mut capture).map_err(|problem| refuse(&problem, &place))?;
                }
            }
        }
        self.capturer.check(&capture).map_err(|problem| refuse(&Refusal::Capture(problem), name))?;
        Ok(capture)
    }

    /// One bad line is one bad record. A line of something else is no record at all.
    fn line(&self, line: &Decoded, capture: &mut Capture) -> Result<(), Refusal> {
        let trimmed = line.text.trim_end();
        let Some(text) = isolate(line) else {
            return self.unreadable(trimmed, ("bytes that are not text", 1, 1), capture);
        };
        match self.text(text.trim_end(), capture) {
            Err(Refusal::Capture(CaptureError::Form(CapturedError::Json { line, column }))) => {
                self.unreadable(trimmed, ("broken JSON", line, column), capture)
            }
            read => read,
        }
    }

    fn text(&self, text: &str, capture: &mut Capture) -> Result<(), Refusal> {
        match self.records(text, capture)? {
            None => Ok(()),
            Some(event) => match self.records(&event, capture)? {
                None => Ok(()),
                // No destination wraps a failure twice.
                Some(_) => Err(Refusal::Capture(CaptureError::Form(CapturedError::Unknown))),
            },
        }
    }

    fn records<'t>(&self, text: &'t str, capture: &mut Capture) -> Result<Option<Cow<'t, str>>, Refusal> {
        if self.what_for == CapturedFor::Images && came_through_kinesis(text) {
            return Err(Refusal::Kinesis);
        }
        self.capturer.read(text, self.what_for.trust(), capture).map_err(Refusal::Capture)
    }

    fn unreadable(
        &self,
        line: &str,
        (shape, at, column): (&'static str, usize, usize),
        capture: &mut Capture,
    ) -> Result<(), Refusal> {
        let problem = RecordProblem::Malformed { shape, line: at, column };
        self.capturer.unreadable(line, problem, capture).map_err(Refusal::Capture)
    }
}

impl CapturedFor {
    pub(crate) fn trust(self) -> Trust {
        match self {
            CapturedFor::Show | CapturedFor::Images => Trust::InOrder,
            CapturedFor::Reads => Trust::ReadItem,
        }
    }
}

fn refuse(refusal: &Refusal, place: &str) -> CliError {
    let problem = match refusal {
        Refusal::Capture(problem) => problem,
        Refusal::Kinesis => {
            let message = format!(
                "{place}: the record came through a Kinesis data stream and has no sequence number, so this version cannot apply its image"
            );
            return CliError::new(Exit::Usage, message)
                .with_hint("replay without --images, which reads each item from the table");
        }
    };
    let hint = match problem {
        CaptureError::UnknownTable { .. } | CaptureError::NoTable => "name the source with --source NAME",
        problem => problem.hint(),
    };
    CliError::new(Exit::Usage, format!("{place}: {problem}")).with_hint(hint)
}

fn no_text(place: &str) -> CliError {
    let message = format!("{place}: not valid UTF-8 or UTF-16");
    CliError::new(Exit::Usage, message)
        .with_hint("correct the file, or put one record on each line, so that only the bad line is refused")
}

/// The line of the first bytes that are no text.
fn line_of_break(whole: &Decoded) -> usize {
    let before = whole.broken.first().and_then(|offset| whole.text.get(..*offset)).unwrap_or_default();
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CONFIG: &str = r#"
        source = { table = "orders" }
        opensearch = { url = "http://127.0.0.1:9200" }
        route = [{ index = "orders" }]
    "#;
    const RECORD: &str = r#"{"eventName":"REMOVE","dynamodb":{"ApproximateCreationDateTime":1700000000,"Keys":{"pk":{"S":"a"}},"SequenceNumber":"7"}}"#;
    const OF_KINESIS: &str = r#"{"eventName":"REMOVE","recordFormat":"application/json","tableName":"orders","dynamodb":{"ApproximateCreationDateTime":1700000000,"Keys":{"pk":{"S":"a"}}}}"#;

    fn capture(what_for: CapturedFor, texts: &[&str]) -> Result<usize, CliError> {
        let config = Config::parse(CONFIG, Path::new(""), &|_| None).unwrap().config;
        let decoded = |text: &&str| Decoded { text: (*text).to_owned(), broken: Vec::new() };
        let piece = match texts {
            [whole] => Piece::Whole(decoded(whole)),
            lines => Piece::Lines { first: 1, lines: lines.iter().map(decoded).collect() },
        };
        let capture = Capturer::new(&config, None, what_for).unwrap().capture("input", &piece)?;
        Ok(capture.order.len())
    }

    #[test]
    fn images_that_came_through_kinesis_are_refused_by_name() {
        let wrapped = format!("{{\"Records\":[{OF_KINESIS}]}}");
        let escaped = format!("{{\"payload\":{}}}", serde_json::to_string(&wrapped).unwrap());
        for text in [OF_KINESIS, &wrapped, &escaped] {
            let error = capture(CapturedFor::Images, &[RECORD, text]).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().starts_with("input line 2: the record came through a Kinesis"), "{error}");
            assert!(error.hint().unwrap().contains("without --images"));
            for taken in [CapturedFor::Reads, CapturedFor::Show] {
                assert_eq!(capture(taken, &[RECORD, text]).unwrap(), 2);
            }
        }
    }

    #[test]
    fn a_line_of_something_else_is_refused_and_a_bad_one_is_a_bad_record() {
        for what_for in [CapturedFor::Images, CapturedFor::Reads, CapturedFor::Show] {
            for stranger in [r#"{"level":"info"}"#, "5", "[{}]", r#"{"Records":[{"level":"info"}]}"#] {
                let error = capture(what_for, &[RECORD, stranger, RECORD]).unwrap_err();
                assert!(error.exit() == Exit::Usage && error.to_string().starts_with("input line 2: "), "{error}");
                let whole = capture(what_for, &[stranger]).unwrap_err();
                assert!(whole.to_string().starts_with("input: "), "{whole}");
            }
            assert_eq!(capture(what_for, &[RECORD, "{\"cut", RECORD]).unwrap(), 3);
        }
    }
}
