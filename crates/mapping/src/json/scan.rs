//! Finds the end of the plain part of a string.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes a string goes on before a quote, a backslash or a control character.
#[inline(always)]
pub(crate) fn plain(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    for before in [0, 8, 16, 24] {
        let Some((word, after)) = rest.split_first_chunk::<8>() else { return before + plain_tail(rest) };
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return before + first(found);
        }
        rest = after;
    }
    bytes.len() - rest.len() + plain_long(rest)
}

const CHUNK: usize = 32;

/// The same for a long string: whole chunks, which the compiler compares with the machine's widest registers.
fn plain_long(bytes: &[u8]) -> usize {
    let is_plain = |chunk: &&[u8; CHUNK]| !chunk.iter().fold(false, |found, byte| found | ends(*byte));
    let (chunks, _) = bytes.as_chunks::<CHUNK>();
    let whole = CHUNK * chunks.iter().take_while(is_plain).count();
    let rest = bytes.get(whole..).unwrap_or_default();
    let (words, tail) = rest.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return whole + place * 8 + first(found);
        }
    }
    whole + words.len() * 8 + plain_tail(tail)
}

/// The place of the first byte that [`special`] found.
#[inline]
fn first(found: u64) -> usize {
    usize::try_from(found.trailing_zeros() / 8).unwrap_or_default()
}

fn plain_tail(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| ends(*byte)).unwrap_or(bytes.len())
}

fn ends(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < b' ')
}

/// The high bit of each byte that ends a run of plain text; exact for the lowest one.
#[inline]
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C))) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_string_is_found_at_every_distance() {
        for length in 0..200 {
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
