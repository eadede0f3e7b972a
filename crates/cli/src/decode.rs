//! Decodes the lines of files as shells and tools write them: UTF-8 with or without a byte order mark, UTF-16, and
//! either of them in gzip.
//!
//! Bytes that are not text do not end the reading. Each run of them becomes U+FFFD, and [`Decoded`] says where, so that
//! only the record that contains them is refused.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

/// Text, and the offsets in it of what was no text in the file; ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) broken: Vec<usize>,
}

/// Reads lines of text.
pub(crate) struct LineReader {
    reader: Box<dyn BufRead + Send>,
    encoding: Encoding,
    /// How much text may be held at once; `None`: as much as the file holds.
    most: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// What comes out of gzip, and how much of it there may be.
struct Unpacked<R: Read> {
    decoder: MultiGzDecoder<Counted<R>>,
    unpacked: u64,
}

struct Counted<R> {
    reader: R,
    count: u64,
}

/// Records repeat their attributes' names: 20 to 1 is usual, 100 to 1 is possible. The format itself ends at 1,032.
const MOST_GROWTH: u64 = 250;
/// So much may come out of any file.
const SMALL: u64 = 64 << 20;
/// One JSON text out of gzip: far more than any tool puts on a line, far less than a machine's memory.
const MOST_TEXT: usize = 1 << 30;
const BUFFER: usize = 1 << 18;

// === impl Decoded ===

impl Decoded {
    /// Adds `other` behind this.
    pub(crate) fn append(&mut self, other: Decoded) {
        let before = self.text.len();
        self.text.push_str(&other.text);
        self.broken.extend(other.broken.into_iter().map(|offset| before + offset));
    }
}

// === impl LineReader ===

impl LineReader {
    /// Looks at the first bytes for the form of the file.
    pub(crate) fn new(reader: impl Read + Send + 'static) -> io::Result<LineReader> {
        let (head, whole) = peek(reader)?;
        if !matches!(head.as_slice(), [0x1F, 0x8B, ..]) {
            return LineReader::of_text(&head, whole, None);
        }
        let decoder = MultiGzDecoder::new(Counted { reader: whole, count: 0 });
        let (head, whole) = peek(Unpacked { decoder, unpacked: 0 })?;
        LineReader::of_text(&head, whole, Some(MOST_TEXT))
    }

    fn of_text(head: &[u8], whole: impl Read + Send + 'static, most: Option<usize>) -> io::Result<LineReader> {
        let (encoding, mark) = match head {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
            // JSON begins with ASCII, whose other byte is zero.
            [1..=255, 0, ..] => (Encoding::Utf16Le, 0),
            [0, 1..=255, ..] => (Encoding::Utf16Be, 0),
            _ => (Encoding::Utf8, 0),
        };
        let mut reader = BufReader::with_capacity(BUFFER, whole);
        let mark = mark.min(reader.fill_buf()?.len());
        reader.consume(mark);
        Ok(LineReader { reader: Box::new(reader), encoding, most })
    }

    /// Adds the next line, its line break included, to `out`; whether there was one.
    pub(crate) fn read_line(&mut self, out: &mut Decoded) -> io::Result<bool> {
        let mut raw = Vec::new();
        let room = self.most.map_or(u64::MAX, |most| bytes(most.saturating_sub(out.text.len())));
        match self.encoding {
            Encoding::Utf8 => {
                (&mut self.reader).take(room).read_until(b'\n', &mut raw)?;
                push_utf8(&raw, out);
            }
            Encoding::Utf16Le => push_utf16(&self.utf16_line(u16::from_le_bytes, room, &mut raw)?, out),
            Encoding::Utf16Be => push_utf16(&self.utf16_line(u16::from_be_bytes, room, &mut raw)?, out),
        }
        if self.most.is_some() && bytes(raw.len()) >= room {
            return Err(too_much(format!("a JSON text of more than {} MiB", MOST_TEXT >> 20)));
        }
        Ok(!raw.is_empty())
    }

    /// Units up to a line feed; `raw` gets their bytes. Half a unit at the end is half a surrogate pair: no text.
    fn utf16_line(&mut self, unit: fn([u8; 2]) -> u16, room: u64, raw: &mut Vec<u8>) -> io::Result<Vec<u16>> {
        const HALF: u16 = 0xD800;
        let mut units = Vec::new();
        while bytes(raw.len()) < room {
            let mut pair = [0; 2];
            let count = read_fully(&mut self.reader, &mut pair)?;
            raw.extend(pair.iter().take(count));
            match count {
                0 => break,
                1 => units.push(HALF),
                _ => units.push(unit(pair)),
            }
            if units.last() == Some(&u16::from(b'\n')) {
                break;
            }
        }
        Ok(units)
    }

    /// Adds all that is left to `out`.
    pub(crate) fn read_to_end(&mut self, out: &mut Decoded) -> io::Result<()> {
        while self.read_line(out)? {}
        Ok(())
    }
}

fn push_utf8(raw: &[u8], out: &mut Decoded) {
    // Nearly always, and several times faster than to look for what is broken.
    if let Ok(text) = std::str::from_utf8(raw) {
        return out.text.push_str(text);
    }
    for chunk in raw.utf8_chunks() {
        out.text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            push_broken(out);
        }
    }
}

fn push_utf16(units: &[u16], out: &mut Decoded) {
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(c) => out.text.push(c),
            Err(_) => push_broken(out),
        }
    }
}

fn push_broken(out: &mut Decoded) {
    out.broken.push(out.text.len());
    out.text.push(char::REPLACEMENT_CHARACTER);
}

/// A reader behind its first bytes, which were read already.
type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, and the whole.
fn peek<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, Whole<R>)> {
    let mut head = [0; 4];
    let count = read_fully(&mut reader, &mut head)?;
    let head: Vec<u8> = head.into_iter().take(count).collect();
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

/// Fills `buffer` as far as there is something to read.
fn read_fully(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn too_much(what: String) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the gzip data unpacks to {what}: if you trust it, unpack it first"),
    )
}

// === impl Unpacked ===

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.unpacked += bytes(count);
        if self.unpacked > SMALL.max(self.decoder.get_ref().count.saturating_mul(MOST_GROWTH)) {
            return Err(too_much(format!("more than {MOST_GROWTH} times its size")));
        }
        Ok(count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.count += bytes(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(raw: Vec<u8>) -> Vec<Decoded> {
        let mut reader = LineReader::new(Cursor::new(raw)).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = Decoded::default();
            if !reader.read_line(&mut line).unwrap() {
                return lines;
            }
            lines.push(line);
        }
    }

    fn packed(raw: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    }

    fn wide(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_lines() {
        let text = "{\"a\":\"größe 😀\"}\r\n\n{\"b\":2}";
        let marked = format!("\u{feff}{text}");
        let forms = [
            text.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            wide(&marked, u16::to_le_bytes),
            wide(&marked, u16::to_be_bytes),
            wide(text, u16::to_le_bytes),
            wide(text, u16::to_be_bytes),
        ];
        for raw in forms {
            for raw in [packed(&raw), [packed(&raw[..7]), packed(&raw[7..])].concat(), raw] {
                let found: Vec<String> = lines(raw).into_iter().map(|line| line.text).collect();
                assert_eq!(found, ["{\"a\":\"größe 😀\"}\r\n", "\n", "{\"b\":2}"]);
            }
        }
        assert_eq!(lines(Vec::new()), []);
        assert_eq!(lines(vec![0xEF, 0xBB, 0xBF]), []);
    }

    #[test]
    fn what_is_no_text_is_marked_in_its_place() {
        let found = lines(b"ab\xFFc\xC3\n\xF0\x9F\x98\nok\n".to_vec());
        let expected = [("ab\u{fffd}c\u{fffd}\n", vec![2, 6]), ("\u{fffd}\n", vec![0]), ("ok\n", vec![])];
        for (line, (text, broken)) in found.iter().zip(&expected) {
            assert_eq!((line.text.as_str(), &line.broken), (*text, broken));
        }
        let mut half = vec![0xFF, 0xFE];
        half.extend(wide("a\nb", u16::to_le_bytes));
        half.extend([0x00, 0xD8, 0x41]);
        let found = lines(half);
        assert_eq!((found[1].text.as_str(), found[1].broken.len()), ("b\u{fffd}\u{fffd}", 2));
    }

    #[test]
    fn gzip_is_bounded_in_its_growth() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![b' '; 1 << 20];
        for _ in 0..66 {
            encoder.write_all(&zeros).unwrap();
        }
        let mut reader = LineReader::new(Cursor::new(encoder.finish().unwrap())).unwrap();
        let mut out = Decoded::default();
        let error = reader.read_to_end(&mut out).unwrap_err();
        assert!(error.to_string().contains("250 times its size") && error.to_string().contains("unpack it"), "{error}");
        assert!(out.text.len() <= (64 << 20) + BUFFER, "{}", out.text.len());
        // What is cut off says so.
        let whole = packed(b"{}\n{}\n");
        let mut cut = LineReader::new(Cursor::new(whole[..whole.len() - 9].to_vec())).unwrap();
        assert!(cut.read_to_end(&mut Decoded::default()).is_err());
    }
}
