//! Decodes a file in the encodings that editors and shells write.

use std::io::{Error, ErrorKind};

/// UTF-8 with or without a byte order mark, or UTF-16 with one, as shells on Windows write it.
///
/// # Errors
/// It is neither.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, Error> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units = pairs.iter().map(|pair| unit(*pair));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.ok().filter(|_| rest.is_empty())
    };
    let text = match bytes.as_slice() {
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes).ok(),
    };
    text.ok_or_else(|| Error::new(ErrorKind::InvalidData, "the file is not valid UTF-8 or UTF-16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_no_part_of_the_text() {
        let text = "table = \"größe 😀\"\n";
        let mut marked = vec![0xEF, 0xBB, 0xBF];
        marked.extend_from_slice(text.as_bytes());
        let wide = |mark: u16, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(mark).chain(text.encode_utf16()).flat_map(bytes).collect()
        };
        for bytes in [text.into(), marked, wide(0xFEFF, u16::to_le_bytes), wide(0xFEFF, u16::to_be_bytes)] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
        for broken in
            [vec![0xFF, 0xFE, 0x41], vec![0xFE, 0xFF, 0xD8, 0x00], vec![0x41, 0xC3], vec![0xEF, 0xBB, 0xBF, 0xFF]]
        {
            assert!(decode(broken).is_err());
        }
    }
}
