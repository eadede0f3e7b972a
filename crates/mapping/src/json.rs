//! A place in a JSON text, and the steps from there: what serde_json accepts is accepted, and nothing else (the oracle
//! tests hold both together). Texts are never copied: what is read is a part of the input.

mod scan;

use serde::de::IgnoredAny;

pub(crate) use self::scan::plain;
use crate::text::Text;

/// A place in a JSON text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why the reading stopped. The place is where the cursor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The text ends too early.
    End,
    /// The text is no JSON.
    Syntax,
    /// It is JSON of another shape than what was expected, or nested too deep.
    Shape,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// The bytes before the cursor.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes to a place that was looked at.
    #[inline]
    pub(crate) fn move_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The text from `from` to the cursor.
    #[inline]
    pub(crate) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Passes over so many bytes, which were looked at.
    #[inline]
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The next byte that is no white space.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Result<u8, Fault> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Fault::End),
            }
        }
    }

    /// Takes `byte`, white space before it too.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek()? != byte {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Takes `expected` where it stands right here.
    #[inline]
    pub(crate) fn take_text(&mut self, expected: &str) -> bool {
        let is_here = self.rest().starts_with(expected.as_bytes());
        self.at += if is_here { expected.len() } else { 0 };
        is_here
    }

    /// Takes `{` or `[`; something else is of another shape.
    #[inline]
    pub(crate) fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.take(bracket).map_err(|fault| if fault == Fault::Syntax { Fault::Shape } else { fault })
    }

    /// The name of the next member of the object that was opened, up to its colon; `None` behind the last one.
    #[inline(always)]
    pub(crate) fn next_member(&mut self, first: &mut bool) -> Result<Option<Text<'a>>, Fault> {
        if !self.next_of(b'}', first)? {
            return Ok(None);
        }
        self.name().map(Some)
    }

    /// Whether another element of the list that was opened follows.
    #[inline]
    pub(crate) fn next_element(&mut self, first: &mut bool) -> Result<bool, Fault> {
        self.next_of(b']', first)
    }

    /// Whether another part of the object or list that was opened follows.
    #[inline(always)]
    pub(crate) fn next_of(&mut self, close: u8, first: &mut bool) -> Result<bool, Fault> {
        let is_first = std::mem::replace(first, false);
        match self.peek()? {
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(Fault::Syntax),
        }
    }

    /// Takes a name and its colon.
    #[inline(always)]
    pub(crate) fn name(&mut self) -> Result<Text<'a>, Fault> {
        match self.plain_name() {
            Some(text) => Ok(Text::new(text, false)),
            None => self.any_name(),
        }
    }

    /// A name as nearly all are: without space around it or escapes. Nothing is taken where it is another.
    #[inline(always)]
    fn plain_name(&mut self) -> Option<&'a str> {
        let [b'"', rest @ ..] = self.rest() else { return None };
        let length = plain(rest);
        let [b'"', b':', ..] = rest.get(length..)? else { return None };
        let from = self.at;
        self.at += length + 2;
        let name = self.since(from);
        self.at += 1;
        Some(name)
    }

    fn any_name(&mut self) -> Result<Text<'a>, Fault> {
        let name = self.literal()?;
        self.take(b':')?;
        Ok(name)
    }

    /// Takes a string literal. Where one has escapes, serde_json tells where it ends.
    #[inline]
    pub(crate) fn literal(&mut self) -> Result<Text<'a>, Fault> {
        if self.peek()? != b'"' {
            return Err(Fault::Syntax);
        }
        let from = self.at;
        let rest = self.rest().get(1..).unwrap_or_default();
        let length = plain(rest);
        if rest.get(length) != Some(&b'"') {
            return Ok(Text::new(self.skip_other()?, true));
        }
        self.at += length + 2;
        Ok(Text::new(self.since(from), false))
    }

    /// Takes any value, however deep, and gives its text.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<&'a str, Fault> {
        if self.peek()? == b'"' { Ok(self.literal()?.literal()) } else { self.skip_other() }
    }

    fn skip_other(&mut self) -> Result<&'a str, Fault> {
        let from = self.at;
        let rest = self.text.get(from..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(IgnoredAny)) => self.at += values.byte_offset(),
            Some(Err(error)) if error.is_eof() => return Err(Fault::End),
            _ => return Err(Fault::Syntax),
        }
        Ok(self.since(from))
    }

    /// Nothing but white space follows.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Err(Fault::End) => Ok(()),
            _ => Err(Fault::Syntax),
        }
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// Whether a text is a number by the grammar of JSON, with nothing around it.
pub(crate) fn is_number(text: &str) -> bool {
    match text.as_bytes() {
        // Most are whole and positive.
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => true,
        [b'-' | b'0'..=b'9', .., b'0'..=b'9'] | [b'0'] => serde_json::from_str::<IgnoredAny>(text).is_ok(),
        _ => false,
    }
}

/// Line and column, from 1, of the last byte of `text`.
pub(crate) fn end_of(text: &[u8]) -> (usize, usize) {
    let lines = text.split(|byte| *byte == b'\n');
    lines.enumerate().last().map_or((1, 0), |(number, line)| (number + 1, line.len()))
}

/// Line and column, from 1, where `text` is no JSON; its beginning, where it is JSON of another form.
pub(crate) fn place_of_fault(text: &str) -> (usize, usize) {
    let error = serde_json::from_str::<IgnoredAny>(text).err();
    error.map_or((1, 1), |error| (error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_grammar_of_json() {
        for good in ["0", "-0", "12", "1.50", "1E+125", "9.99e-130", "-1.0E5", &"9".repeat(38)] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", "NaN", "Infinity", "0x1", "1 ", " 1", "1,2"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
