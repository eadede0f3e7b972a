//! Reads captured records from files and stdin, in pieces that fit into memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::decode::{Decoded, LineReader};
use crate::exit::{CliError, Exit};

/// A piece is closed at so many lines, or so many bytes.
const LINES_A_PIECE: usize = 2000;
const BYTES_A_PIECE: usize = 4 * 1024 * 1024;

/// A piece of the input: JSON texts that are complete in themselves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The whole input is one JSON text.
    Whole(Decoded),
    /// Lines, each of them one JSON text; the number of the first line.
    Lines {
        /// The number of the first line, from 1.
        first: usize,
        /// The lines, with their line breaks.
        lines: Vec<Decoded>,
    },
}

/// Reads one input piece by piece.
pub(crate) struct Input {
    /// The name for messages: the path, or `stdin`.
    pub(crate) name: String,
    reader: LineReader,
    form: Form,
    /// Lines that were read to find out about the form.
    ahead: VecDeque<Decoded>,
    /// Lines in pieces so far.
    lines: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Unknown,
    Lines,
    Ended,
}

// === impl Piece ===

impl Piece {
    /// One JSON text.
    pub(crate) fn of_text(text: String) -> Piece {
        Piece::Whole(Decoded { text, broken: Vec::new() })
    }
}

// === impl Input ===

impl Input {
    /// Opens a file, or stdin for `-`.
    pub(crate) fn open(path: &Path) -> Result<Input, CliError> {
        if path == Path::new("-") {
            return Input::new("stdin", LineReader::new(io::stdin()));
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| CliError::new(Exit::Usage, format!("cannot open {name}")).caused_by(error))?;
        Input::new(&name, LineReader::new(file))
    }

    /// Opens several.
    pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, CliError> {
        paths.iter().map(|path| Input::open(path)).collect()
    }

    fn new(name: &str, reader: io::Result<LineReader>) -> Result<Input, CliError> {
        let reader = reader.map_err(|error| unreadable(name, error))?;
        Ok(Input { name: name.to_owned(), reader, form: Form::Unknown, ahead: VecDeque::new(), lines: 0 })
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, CliError> {
        let piece = match self.form {
            Form::Unknown => self.first_piece(),
            Form::Lines => self.more_lines(),
            Form::Ended => Ok(None),
        };
        piece.map_err(|error| unreadable(&self.name, error))
    }

    /// The beginning decides. Where the first line is a JSON text, every line is one. If the second line continues the
    /// first, the whole is one text. Else the first line may be cut or broken: where others are objects, every line is
    /// a text, and the first is a bad one.
    fn first_piece(&mut self) -> io::Result<Option<Piece>> {
        if !self.read_ahead(1)? {
            self.form = Form::Ended;
            return Ok(None);
        }
        let (mut bytes, mut is_lines) = (0, self.all_ahead(is_json));
        if !is_lines {
            self.read_ahead(2)?;
            let together: String = self.ahead.iter().map(|line| line.text.as_str()).collect();
            if !is_beginning(&together) {
                while self.ahead.len() < LINES_A_PIECE && bytes < BYTES_A_PIECE && !is_lines {
                    is_lines = self.ahead.iter().skip(1).any(|line| is_object(&line.text));
                    bytes = self.ahead.iter().map(|line| line.text.len()).sum();
                    if !self.read_ahead_line()? {
                        break;
                    }
                }
                is_lines |= self.ahead.iter().skip(1).any(|line| is_object(&line.text));
            }
        }
        if is_lines {
            self.form = Form::Lines;
            return self.more_lines();
        }
        self.form = Form::Ended;
        let mut whole = Decoded::default();
        for line in self.ahead.drain(..) {
            whole.append(line);
        }
        self.reader.read_to_end(&mut whole)?;
        Ok(Some(Piece::Whole(whole)))
    }

    /// Reads until this many non-blank lines are available; returns whether they are.
    fn read_ahead(&mut self, wanted: usize) -> io::Result<bool> {
        loop {
            if self.ahead.iter().filter(|line| !line.text.trim().is_empty()).count() >= wanted {
                return Ok(true);
            }
            if !self.read_ahead_line()? {
                return Ok(false);
            }
        }
    }

    fn read_ahead_line(&mut self) -> io::Result<bool> {
        let mut line = Decoded::default();
        let read = self.reader.read_line(&mut line)?;
        if read {
            self.ahead.push_back(line);
        }
        Ok(read)
    }

    fn all_ahead(&self, holds: fn(&str) -> bool) -> bool {
        self.ahead.iter().filter(|line| !line.text.trim().is_empty()).all(|line| holds(&line.text))
    }

    fn more_lines(&mut self) -> io::Result<Option<Piece>> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < LINES_A_PIECE && bytes < BYTES_A_PIECE {
            if self.ahead.is_empty() && !self.read_ahead_line()? {
                self.form = Form::Ended;
                break;
            }
            let Some(line) = self.ahead.pop_front() else { break };
            bytes += line.text.len();
            lines.push(line);
        }
        let first = self.lines + 1;
        self.lines += lines.len();
        Ok((!lines.is_empty()).then_some(Piece::Lines { first, lines }))
    }
}

fn unreadable(name: &str, error: io::Error) -> CliError {
    CliError::new(Exit::Usage, format!("cannot read {name}")).caused_by(error)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && is_json(text)
}

/// Whether more text could make a JSON text of it, or it is one.
fn is_beginning(text: &str) -> bool {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn pieces(text: &str) -> Vec<Piece> {
        let reader = LineReader::new(Cursor::new(text.as_bytes().to_vec()));
        let mut input = Input::new("test", reader).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = input.next_piece().unwrap() {
            pieces.push(piece);
        }
        pieces
    }

    fn decoded(text: &str) -> Decoded {
        Decoded { text: text.to_owned(), broken: Vec::new() }
    }

    fn lines(first: usize, lines: &[&str]) -> Piece {
        Piece::Lines { first, lines: lines.iter().map(|line| decoded(line)).collect() }
    }

    #[test]
    fn a_text_over_several_lines_is_one_piece() {
        for text in ["\n{\n\"Records\": []\n}\n", "[\n{}\n]\n", "{broken\nagain\n", "{\n\"Records\": [\n{}\n", "{"] {
            assert_eq!(pieces(text), [Piece::Whole(decoded(text))], "{text}");
        }
        assert_eq!(pieces("\n \n"), []);
    }

    #[test]
    fn lines_are_counted_across_pieces() {
        assert_eq!(pieces("\n{}\n[1]\nbroken"), [lines(1, &["\n", "{}\n", "[1]\n", "broken"])]);
        let many = "{}\n".repeat(LINES_A_PIECE + 2);
        let found = pieces(&many);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], lines(LINES_A_PIECE + 1, &["{}\n", "{}\n"]));
    }

    #[test]
    fn a_cut_or_broken_first_line_is_one_line() {
        for first in ["\"S\":\"x\"}}}\n", "{broken\n", "{\"a\":1,\n", "}\n", "log line\n"] {
            let text = format!("{first}{{}}\n{{}}\n");
            assert_eq!(pieces(&text), [lines(1, &[first, "{}\n", "{}\n"])], "{first}");
        }
        assert_eq!(pieces("cut}\nalso cut}\n{}\n"), [lines(1, &["cut}\n", "also cut}\n", "{}\n"])]);
        // Nothing of something else is a record.
        let log = "not a record\n".repeat(3);
        assert_eq!(pieces(&log), [Piece::Whole(decoded(&log))]);
    }
}
