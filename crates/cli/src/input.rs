//! Captured records from files and stdin, in pieces that fit into memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::exit::{CliError, Exit};

/// A piece is closed at so many lines, or so many bytes.
const LINES_A_PIECE: usize = 2000;
const BYTES_A_PIECE: usize = 4 * 1024 * 1024;

/// A piece of the input: JSON texts that stand for themselves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The whole input is one JSON text.
    Whole(String),
    /// Lines, each of them one JSON text; the number of the first line.
    Lines {
        /// The number of the first line, from 1.
        first: usize,
        /// The lines, with their line breaks.
        text: String,
    },
}

/// Reads one input piece by piece.
pub(crate) struct Input {
    /// The name for messages: the path, or `stdin`.
    pub(crate) name: String,
    reader: Box<dyn BufRead + Send>,
    /// Lines read so far; `None` before the form is known.
    lines: Option<usize>,
    ended: bool,
}

// === impl Input ===

impl Input {
    /// Opens a file, or stdin for `-`.
    pub(crate) fn open(path: &Path) -> Result<Input, CliError> {
        if path == Path::new("-") {
            return Ok(Input::new("stdin", Box::new(BufReader::new(io::stdin()))));
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| CliError::new(Exit::Usage, format!("cannot open {name}")).caused_by(error))?;
        Ok(Input::new(&name, Box::new(BufReader::with_capacity(1 << 18, file))))
    }

    /// Opens several.
    pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, CliError> {
        paths.iter().map(|path| Input::open(path)).collect()
    }

    fn new(name: &str, reader: Box<dyn BufRead + Send>) -> Input {
        Input { name: name.to_owned(), reader, lines: None, ended: false }
    }

    /// The next piece; `None` at the end.
    ///
    /// The first line decides: where it is a JSON text of its own, every line is one.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, CliError> {
        if self.ended {
            return Ok(None);
        }
        let piece = match self.lines {
            None => self.first_piece(),
            Some(lines) => self.more_lines(String::new(), lines + 1, 0),
        };
        piece.map_err(|error| CliError::new(Exit::Usage, format!("cannot read {}", self.name)).caused_by(error))
    }

    fn first_piece(&mut self) -> io::Result<Option<Piece>> {
        let mut text = String::new();
        while text.trim().is_empty() {
            if self.reader.read_line(&mut text)? == 0 {
                self.ended = true;
                return Ok(None);
            }
        }
        let lines = text.lines().count();
        if serde_json::from_str::<IgnoredAny>(&text).is_ok() {
            return self.more_lines(text, 1, lines);
        }
        self.ended = true;
        self.reader.read_to_string(&mut text)?;
        Ok(Some(Piece::Whole(text)))
    }

    fn more_lines(&mut self, mut text: String, first: usize, mut count: usize) -> io::Result<Option<Piece>> {
        while count < LINES_A_PIECE && text.len() < BYTES_A_PIECE {
            if self.reader.read_line(&mut text)? == 0 {
                self.ended = true;
                break;
            }
            count += 1;
        }
        self.lines = Some(first + count - 1);
        Ok((count > 0).then_some(Piece::Lines { first, text }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn pieces(text: &str) -> Vec<Piece> {
        let mut input = Input::new("test", Box::new(Cursor::new(text.as_bytes().to_vec())));
        let mut pieces = Vec::new();
        while let Some(piece) = input.next_piece().unwrap() {
            pieces.push(piece);
        }
        pieces
    }

    #[test]
    fn a_text_over_several_lines_is_one_piece() {
        assert_eq!(pieces("\n{\n\"Records\": []\n}\n"), [Piece::Whole("\n{\n\"Records\": []\n}\n".into())]);
        assert_eq!(pieces("{broken\n{}\n"), [Piece::Whole("{broken\n{}\n".into())]);
        assert_eq!(pieces("\n \n"), []);
    }

    #[test]
    fn lines_are_counted_across_pieces() {
        assert_eq!(pieces("{}\n[1]\nbroken"), [Piece::Lines { first: 1, text: "{}\n[1]\nbroken".into() }]);
        let many = "{}\n".repeat(LINES_A_PIECE + 2);
        let found = pieces(&many);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], Piece::Lines { first: LINES_A_PIECE + 1, text: "{}\n{}\n".into() });
    }
}
