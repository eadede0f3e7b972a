//! How far runs of bytes go: the plain part of a string, a number.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes a string goes on before a quote, a backslash or a control character, eight at a time.
#[inline(always)]
pub(crate) fn plain(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            let before = usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
            return bytes.len() - rest.len() + before;
        }
        rest = after;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The high bit of each byte that ends a run of plain text; exact for the lowest one.
#[inline]
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C))) & HIGH
}

/// The length of the number that `text` begins with, by the grammar of JSON (RFC 8259); `None` where it begins with none.
pub(crate) fn number(text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    rest = match rest {
        [b'0', after @ ..] => after,
        _ => digits(rest)?,
    };
    if let [b'.', after @ ..] = rest {
        rest = digits(after)?;
    }
    if let [b'e' | b'E', after @ ..] = rest {
        rest = match after {
            [b'+' | b'-', after @ ..] => digits(after)?,
            _ => digits(after)?,
        };
    }
    Some(text.len() - rest.len())
}

/// Behind one digit or more.
fn digits(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.get(end..).filter(|_| end > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_grammar_of_json() {
        for good in ["0", "-0", "12", "1.50", "1E+125", "9.99e-130", "-1.0E5", &"9".repeat(38)] {
            assert_eq!(number(good.as_bytes()), Some(good.len()), "{good}");
        }
        for bad in ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", "NaN", "Infinity", "0x1", "1 ", " 1", "1,2"] {
            assert_ne!(number(bad.as_bytes()), Some(bad.len()), "{bad}");
        }
    }

    #[test]
    fn the_end_of_a_string_is_found_at_every_distance() {
        for length in 0..40 {
            for end in ["\"", "\\", "\n", "\u{1f}", ""] {
                for filling in ["a", "é", "\u{7f}", "!", "]", "#", " "] {
                    let text = filling.repeat(length);
                    let whole = format!("{text}{end}\"rest of it, with \\ and more");
                    let expected = text.len();
                    assert_eq!(plain(whole.as_bytes()), expected, "{whole}");
                }
            }
        }
    }
}
