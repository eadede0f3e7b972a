//! Text and bytes that are borrowed either from raw JSON or from values that are already decoded.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A string, borrowed as it came.
#[derive(Debug, Clone, Copy)]
pub enum Text<'a> {
    /// A whole JSON string literal, quotes and escapes included. Always starts and ends with `"`.
    Json(&'a str),
    /// What stands between the quotes of a JSON string literal without escapes: the decoded string, fit to be
    /// written between quotes again.
    Clean(&'a str),
    /// The decoded string.
    Plain(&'a str),
}

/// A binary value, borrowed as it came.
#[derive(Debug, Clone, Copy)]
pub enum Binary<'a> {
    /// Base64 text, as a stream record in JSON holds it.
    Base64(Text<'a>),
    /// The bytes.
    Bytes(&'a [u8]),
}

// === impl Text ===

impl<'a> Text<'a> {
    /// A JSON string literal; `None` where it escapes half a surrogate pair, which no text can hold.
    pub(crate) fn of_literal(literal: &'a str) -> Option<Text<'a>> {
        let text = Text::Json(literal);
        (text.is_literal() || serde_json::from_str::<Cow<'_, str>>(literal).is_ok()).then_some(text)
    }

    /// What stands between the quotes, escapes not resolved; the text itself where it is decoded.
    pub(crate) fn inner(self) -> &'a str {
        match self {
            Text::Json(literal) => literal.get(1..literal.len().saturating_sub(1)).unwrap_or(""),
            Text::Clean(text) | Text::Plain(text) => text,
        }
    }

    /// Whether [`Text::inner`] is the decoded string already.
    fn is_literal(self) -> bool {
        match self {
            Text::Json(literal) => !literal.as_bytes().contains(&b'\\'),
            Text::Clean(_) | Text::Plain(_) => true,
        }
    }

    /// The decoded string. A JSON literal that escapes half a surrogate pair, which UTF-8 cannot hold,
    /// gives what stands between its quotes.
    pub fn decode(self) -> Cow<'a, str> {
        if self.is_literal() {
            return Cow::Borrowed(self.inner());
        }
        match self {
            Text::Json(literal) => serde_json::from_str(literal).map_or(Cow::Borrowed(self.inner()), Cow::Owned),
            Text::Clean(text) | Text::Plain(text) => Cow::Borrowed(text),
        }
    }

    /// Whether the decoded string is `other`.
    pub fn is(self, other: &str) -> bool {
        count::comparison();
        if self.is_literal() { self.inner() == other } else { self.decode() == other }
    }

    /// Writes the string as a JSON literal.
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Text::Json(literal) => out.extend_from_slice(literal.as_bytes()),
            Text::Clean(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Text::Plain(text) => write_json_string(text, out),
        }
    }
}

/// Equal where the decoded strings are.
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Text<'_>) -> bool {
        count::comparison();
        match (self, other) {
            (Text::Clean(left) | Text::Plain(left), Text::Clean(right) | Text::Plain(right)) => left == right,
            (Text::Json(left), Text::Json(right)) if left == right => true,
            _ if self.is_literal() && other.is_literal() => self.inner() == other.inner(),
            _ => self.decode() == other.decode(),
        }
    }
}

impl Eq for Text<'_> {}

/// In ascending order of the decoded strings.
impl Ord for Text<'_> {
    fn cmp(&self, other: &Text<'_>) -> Ordering {
        count::comparison();
        if self.is_literal() && other.is_literal() {
            return self.inner().cmp(other.inner());
        }
        self.decode().cmp(&other.decode())
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Text<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Writes `text` as a JSON string literal.
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into a vector cannot fail: serde_json reports only I/O and key errors.
    let written = serde_json::to_writer(&mut *out, text);
    debug_assert!(written.is_ok());
}

// === impl Binary ===

impl Binary<'_> {
    /// Writes the value as a JSON string of base64: as it was delivered, or standard with padding.
    pub fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Binary::Base64(text) => text.write_json(out),
            Binary::Bytes(bytes) => {
                out.push(b'"');
                out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                out.push(b'"');
            }
        }
    }

    /// The base64 text, standard alphabet.
    pub(crate) fn base64(&self) -> Cow<'_, str> {
        match self {
            Binary::Base64(text) => text.decode(),
            Binary::Bytes(bytes) => Cow::Owned(STANDARD.encode(bytes)),
        }
    }

    /// The bytes, or `None` where the delivered text is no base64.
    pub fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Binary::Base64(text) => STANDARD.decode(text.decode().as_bytes()).ok().map(Cow::Owned),
            Binary::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        }
    }
}

/// Equal where the bytes are, or the texts, where one is no base64.
impl PartialEq for Binary<'_> {
    fn eq(&self, other: &Binary<'_>) -> bool {
        match (self, other) {
            (Binary::Bytes(left), Binary::Bytes(right)) => left == right,
            (Binary::Base64(left), Binary::Base64(right)) => left == right,
            _ => self.base64() == other.base64(),
        }
    }
}

impl Eq for Binary<'_> {}

/// How many texts were compared: tests count, since time tells little.
pub(crate) mod count {
    #[cfg(test)]
    thread_local!(static COMPARISONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });

    #[inline]
    pub(crate) fn comparison() {
        #[cfg(test)]
        COMPARISONS.with(|count| count.set(count.get() + 1));
    }

    /// The comparisons that `work` makes on this thread.
    #[cfg(test)]
    pub(crate) fn comparisons_of(work: impl FnOnce()) -> u64 {
        let before = COMPARISONS.with(std::cell::Cell::get);
        work();
        COMPARISONS.with(std::cell::Cell::get) - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_equal_when_their_decoded_strings_are() {
        assert_eq!(Text::Json(r#""a\u00e9""#), Text::Plain("aé"));
        assert_eq!(Text::Json(r#""a\/b""#), Text::Json(r#""a/b""#));
        assert_eq!(Text::Json(r#""a\/b""#), Text::Clean("a/b"));
        assert_ne!(Text::Clean("a"), Text::Plain("b"));
        assert_ne!(Text::Json(r#""a\n""#), Text::Plain("a\\n"));
        assert!(Text::Json(r#""\"""#).is("\""));
    }

    #[test]
    fn a_lone_surrogate_does_not_stop_anything() {
        assert_eq!(Text::Json(r#""\ud800""#).decode(), r"\ud800");
    }

    #[test]
    fn binary_values_are_equal_by_their_bytes() {
        assert_eq!(Binary::Base64(Text::Plain("AP8=")), Binary::Bytes(&[0, 255]));
        assert_eq!(Binary::Base64(Text::Plain("%")).bytes(), None);
    }

    #[test]
    fn plain_text_is_escaped() {
        let mut out = Vec::new();
        Text::Plain("a\"\n\u{1}é").write_json(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#""a\"\n\u0001é""#);
    }
}
