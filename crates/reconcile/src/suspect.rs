//! Suspects: documents that differed in one check, and wait for the next.
//!
//! If there are many, they are kept in a file, so that a lost index needs no more memory than one document.

use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamdex_mapping::event::read_item;
use streamdex_mapping::{Address, DocumentId, IndexName, Key, canonical_json};
use streamdex_sink::read::StoredDocument;
use tempfile::SpooledTempFile;

use crate::digest::digest;
use crate::expected::Expected;

/// A document that differed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// The item's key; `None` if the document does not contain it.
    pub(crate) key: Option<Key>,
    /// Where the document is, or should be; `None` where the item does not tell.
    pub(crate) address: Option<Address>,
    /// What it looked like; `None` where it was not looked at yet.
    pub(crate) seen: Option<Seen>,
    /// How often it was written, to repair it.
    pub(crate) repairs: u32,
}

/// Both sides of a difference: when neither changes, nothing is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// A digest of what the item gives.
    expected: String,
    /// The document's version, and a digest of its source.
    stored: Option<(u64, String)>,
}

/// The line of a suspect.
#[derive(Serialize, Deserialize)]
struct Line {
    key: Option<String>,
    address: Option<Place>,
    seen: Option<Seen>,
    repairs: u32,
}

#[derive(Serialize, Deserialize)]
struct Place {
    index: String,
    id: String,
    routing: Option<String>,
}

/// So many bytes of them need no file.
const IN_MEMORY: usize = 256 * 1024;

/// A file of suspects. It is readable for its owner alone, and is gone when this is dropped or the process ends.
pub(crate) struct Suspects {
    file: BufWriter<SpooledTempFile>,
    count: u64,
}

/// Reads a file of suspects to its end.
pub(crate) struct SuspectReader(BufReader<SpooledTempFile>);

// === impl Seen ===

impl Seen {
    pub(crate) fn of(expected: &Expected, stored: Option<&StoredDocument>) -> Seen {
        let expected = match expected {
            Expected::Document { address, text, .. } => {
                let text = canonical_json(text);
                let (index, id) = (address.index.as_str().as_bytes(), address.id.as_str().as_bytes());
                text_of(digest(&[index, id, &text.unwrap_or_default()]))
            }
            Expected::Filtered => "filtered".to_owned(),
            Expected::Refused { reason } => format!("refused {reason}"),
            Expected::NoItem => "no item".to_owned(),
        };
        Seen { expected, stored: stored.map(|stored| (stored.version, text_of(digest(&[&stored.source])))) }
    }

    /// The document's version.
    pub(crate) fn version(&self) -> Option<u64> {
        self.stored.as_ref().map(|(version, _)| *version)
    }
}

fn text_of(digest: u128) -> String {
    format!("{digest:032x}")
}

// === impl Suspects ===

impl Suspects {
    pub(crate) fn new(folder: &Path) -> Suspects {
        Suspects { file: BufWriter::new(SpooledTempFile::new_in(IN_MEMORY, folder)), count: 0 }
    }

    pub(crate) fn push(&mut self, suspect: &Suspect) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, &suspect.line())?;
        self.file.write_all(b"\n")?;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn into_reader(self) -> io::Result<SuspectReader> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(SuspectReader(BufReader::new(file)))
    }
}

impl SuspectReader {
    /// The next ones, `most` at most; none at the end.
    pub(crate) fn next(&mut self, most: usize) -> io::Result<Vec<Suspect>> {
        let mut suspects = Vec::with_capacity(most);
        let mut text = String::new();
        while suspects.len() < most {
            text.clear();
            if self.0.read_line(&mut text)? == 0 {
                break;
            }
            let line: Line = serde_json::from_str(&text)?;
            suspects.push(Suspect::of(line).ok_or_else(|| io::Error::other("a line that was not written here"))?);
        }
        Ok(suspects)
    }
}

impl Suspect {
    fn line(&self) -> Line {
        let place = |address: &Address| Place {
            index: address.index.to_string(),
            id: address.id.as_str().to_owned(),
            routing: address.routing.as_deref().map(str::to_owned),
        };
        Line {
            key: self.key.as_ref().map(|key| key.canonical().to_owned()),
            address: self.address.as_ref().map(place),
            seen: self.seen.clone(),
            repairs: self.repairs,
        }
    }

    fn of(line: Line) -> Option<Suspect> {
        let key = match line.key {
            Some(text) => Some(key_of_text(&text)?),
            None => None,
        };
        let address = match line.address {
            Some(place) => Some(address_of(&place.index, &place.id, place.routing.as_deref())?),
            None => None,
        };
        Some(Suspect { key, address, seen: line.seen, repairs: line.repairs })
    }
}

/// A key from its canonical text.
pub(crate) fn key_of_text(text: &str) -> Option<Key> {
    let image = read_item(text).ok().filter(|image| image.problem().is_none() && !image.is_empty())?;
    Key::from_image(&image).ok()
}

/// An address from its parts, as they were stored.
pub(crate) fn address_of(index: &str, id: &str, routing: Option<&str>) -> Option<Address> {
    let (index, id) = (IndexName::parse(index).ok()?, DocumentId::parse(id).ok()?);
    Some(Address { index, id, routing: routing.map(Arc::from) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn suspect(id: &str) -> Suspect {
        Suspect {
            key: key_of_text(r#"{"pk":{"S":"a|\u00e9"},"sk":{"N":"1.50"}}"#),
            address: address_of("i", id, Some("r")),
            seen: Some(Seen::of(&Expected::NoItem, None)),
            repairs: 2,
        }
    }

    #[test]
    fn suspects_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut suspects = Suspects::new(folder.path());
        let written = [
            suspect("a"),
            Suspect { key: None, seen: None, ..suspect("b") },
            Suspect { address: None, ..suspect("c") },
        ];
        for suspect in &written {
            suspects.push(suspect).unwrap();
        }
        assert_eq!(suspects.count(), 3);
        let mut reader = suspects.into_reader().unwrap();
        assert!(reader.next(2).unwrap() == written[..2]);
        assert!(reader.next(2).unwrap() == written[2..]);
        assert!(reader.next(2).unwrap().is_empty());
    }

    #[test]
    fn a_change_of_either_side_is_seen() {
        let document = |text: &'static str, id: &str| Expected::Document {
            address: address_of("i", id, None).unwrap(),
            text: Bytes::from_static(text.as_bytes()),
            expires: None,
        };
        let stored =
            |version, source: &'static str| StoredDocument { version, source: Bytes::from_static(source.as_bytes()) };
        let seen = Seen::of(&document(r#"{"a":1,"b":2}"#, "x"), Some(&stored(1, "{}")));
        assert_eq!(seen, Seen::of(&document(r#"{"b":2,"a":1}"#, "x"), Some(&stored(1, "{}"))), "another order");
        for other in [
            Seen::of(&document(r#"{"a":1,"b":3}"#, "x"), Some(&stored(1, "{}"))),
            Seen::of(&document(r#"{"a":1,"b":2}"#, "y"), Some(&stored(1, "{}"))),
            Seen::of(&document(r#"{"a":1,"b":2}"#, "x"), Some(&stored(2, "{}"))),
            Seen::of(&document(r#"{"a":1,"b":2}"#, "x"), Some(&stored(1, "{\"a\":1}"))),
            Seen::of(&document(r#"{"a":1,"b":2}"#, "x"), None),
            Seen::of(&Expected::NoItem, Some(&stored(1, "{}"))),
        ] {
            assert_ne!(seen, other);
        }
    }
}
