//! JSON string literals, borrowed as they came.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A JSON string literal, quotes and escapes included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    literal: &'a str,
    has_escapes: bool,
}

// === impl Text ===

impl<'a> Text<'a> {
    /// A literal that the reader has checked.
    #[inline]
    pub(crate) fn new(literal: &'a str, has_escapes: bool) -> Text<'a> {
        Text { literal, has_escapes }
    }

    /// A literal that the reader has checked.
    pub(crate) fn of_literal(literal: &'a str) -> Text<'a> {
        Text { literal, has_escapes: literal.as_bytes().contains(&b'\\') }
    }

    /// With its quotes.
    #[inline]
    pub(crate) fn literal(self) -> &'a str {
        self.literal
    }

    /// Whether the decoded string is another one than [`Text::inner`].
    #[inline]
    pub(crate) fn has_escapes(self) -> bool {
        self.has_escapes
    }

    /// What stands between the quotes, escapes not resolved.
    #[inline]
    pub(crate) fn inner(self) -> &'a str {
        self.literal.get(1..self.literal.len().saturating_sub(1)).unwrap_or_default()
    }

    /// Itself, unless an escape in it is half a surrogate pair, which no text can hold.
    #[inline]
    pub(crate) fn whole(self) -> Option<Text<'a>> {
        (!self.has_escapes || self.is_whole()).then_some(self)
    }

    fn is_whole(self) -> bool {
        !self.literal.contains("\\u") || serde_json::from_str::<String>(self.literal).is_ok()
    }

    /// The decoded string; what stands between the quotes, where no text can hold it.
    #[inline]
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if self.has_escapes { self.decode_escapes() } else { Cow::Borrowed(self.inner()) }
    }

    fn decode_escapes(self) -> Cow<'a, str> {
        serde_json::from_str(self.literal).map_or(Cow::Borrowed(self.inner()), Cow::Owned)
    }

    /// Whether the decoded string is `other`.
    #[inline]
    pub(crate) fn is(self, other: &str) -> bool {
        count::comparison();
        if self.has_escapes { self.decode_escapes() == other } else { self.inner() == other }
    }

    /// The bytes, where it is base64 with padding.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        STANDARD.decode(self.decode().as_bytes()).ok()
    }
}

/// Equal where the decoded strings are.
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Text<'_>) -> bool {
        count::comparison();
        self.literal == other.literal || (self.has_escapes || other.has_escapes) && self.decode() == other.decode()
    }
}

impl Eq for Text<'_> {}

/// In ascending order of the decoded strings.
impl Ord for Text<'_> {
    fn cmp(&self, other: &Text<'_>) -> Ordering {
        count::comparison();
        if self.has_escapes || other.has_escapes {
            return self.decode().cmp(&other.decode());
        }
        self.inner().cmp(other.inner())
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Text<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Writes `text` as a JSON string literal.
pub(crate) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into a vector cannot fail: serde_json reports only I/O and key errors.
    let written = serde_json::to_writer(&mut *out, text);
    debug_assert!(written.is_ok());
}

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
    fn texts_are_compared_by_their_decoded_strings() {
        let text = Text::of_literal;
        assert_eq!(text(r#""a\u00e9""#), text("\"aé\""));
        assert_eq!(text(r#""a\/b""#), text(r#""a/b""#));
        assert_ne!(text(r#""a\n""#), text(r#""a\\n""#));
        assert!(text(r#""\u0061""#) < text("\"b\"") && text(r#""\u0063""#) > text("\"b\""));
        assert!(text(r#""\"""#).is("\"") && text("\"a\"").is("a") && !text(r#""\u0061""#).is(r"\u0061"));
    }

    #[test]
    fn what_is_no_base64_has_no_bytes() {
        assert_eq!(Text::of_literal("\"AP8=\"").bytes(), Some(vec![0, 255]));
        assert_eq!(Text::of_literal("\"%\"").bytes(), None);
    }
}
