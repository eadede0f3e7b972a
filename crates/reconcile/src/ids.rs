//! Finds the documents of an index that have no item: an exact comparison in bounded memory.
//!
//! Both sides are divided into 256 parts by a hash of their addresses. Large parts are spilled to files, and one part
//! at a time is compared in memory (rule B2, docs/registers/guarantees.md). At 100 million documents a part holds 400,000 hashes,
//! some 12 MB. Sums of hashes for each part would not save the files: where one document was added or deleted since the
//! table was read, they differ.

use std::collections::HashSet;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use streamdex_mapping::Address;
use tempfile::SpooledTempFile;

use crate::digest::digest;

const PARTS: usize = 256;
/// For each of 512 parts.
const BUFFER: usize = 4096;
/// The size up to which a part needs no file.
const IN_MEMORY: usize = 16 * 1024;

/// The hash of an address.
pub(crate) type AddressHash = u128;

/// Hashes, or documents with their hashes, in files. They are readable for their owner alone, and are gone when this is
/// dropped or the process ends.
pub(crate) struct Spill {
    parts: Vec<BufWriter<SpooledTempFile>>,
}

/// The hash of an address. The routing counts: a document under another routing can be another document.
pub(crate) fn hash_of(address: &Address) -> AddressHash {
    let (index, id) = (address.index.as_str().as_bytes(), address.id.as_str().as_bytes());
    match &address.routing {
        Some(routing) => digest(&[index, id, routing.as_bytes()]),
        None => digest(&[index, id]),
    }
}

// === impl Spill ===

impl Spill {
    pub(crate) fn new(folder: &Path) -> Spill {
        let part = |_| BufWriter::with_capacity(BUFFER, SpooledTempFile::new_in(IN_MEMORY, folder));
        Spill { parts: (0..PARTS).map(part).collect() }
    }

    /// Adds a hash, with what is to come back with it.
    pub(crate) fn push(&mut self, hash: AddressHash, record: &[u8]) -> io::Result<()> {
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        let Some(part) = self.parts.get_mut(part_of(hash)) else { return Ok(()) };
        part.write_all(&hash.to_le_bytes())?;
        part.write_all(&length.to_le_bytes())?;
        part.write_all(record)
    }

    /// What was spilled with those hashes of `index` that are not in `table`, handed to `each`, each once.
    pub(crate) fn missing_in(
        index: Spill,
        table: Spill,
        mut each: impl FnMut(Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        for (index, table) in index.parts.into_iter().zip(table.parts) {
            let mut known = HashSet::new();
            let mut table = rewound(table)?;
            while let Some((hash, _)) = next(&mut table)? {
                known.insert(hash);
            }
            let mut index = rewound(index)?;
            while let Some((hash, record)) = next(&mut index)? {
                if known.insert(hash) {
                    each(record)?;
                }
            }
        }
        Ok(())
    }
}

fn part_of(hash: AddressHash) -> usize {
    // The remainder by 256 always fits.
    usize::try_from(hash % 256).unwrap_or_default()
}

fn rewound(part: BufWriter<SpooledTempFile>) -> io::Result<BufReader<SpooledTempFile>> {
    let mut part = part.into_inner().map_err(io::IntoInnerError::into_error)?;
    part.seek(SeekFrom::Start(0))?;
    Ok(BufReader::with_capacity(64 * 1024, part))
}

fn next(part: &mut BufReader<SpooledTempFile>) -> io::Result<Option<(AddressHash, Vec<u8>)>> {
    let mut hash = [0; 16];
    match part.read_exact(&mut hash) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut length = [0; 4];
    part.read_exact(&mut length)?;
    let mut record = vec![0; usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?];
    part.read_exact(&mut record)?;
    Ok(Some((AddressHash::from_le_bytes(hash), record)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::suspect::address_of;

    #[test]
    fn index_id_and_routing_make_the_hash() {
        let of = |index, id, routing| hash_of(&address_of(index, id, routing).unwrap());
        let all = [
            of("i", "a", None),
            of("j", "a", None),
            of("i", "b", None),
            of("i", "a", Some("")),
            of("i", "a", Some("r")),
            of("ia", "a", None),
            of("i", "aa", None),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert_eq!(of("i", "a", Some("r")), of("i", "a", Some("r")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn b2_what_the_table_does_not_give_is_found_exactly(
            table in proptest::collection::btree_set(0u32..400, 0..300),
            index in proptest::collection::btree_set(0u32..400, 0..300),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let hash = |number: &u32| hash_of(&address_of("i", &number.to_string(), None).unwrap());
            let mut of_table = Spill::new(folder.path());
            table.iter().for_each(|number| of_table.push(hash(number), &[]).unwrap());
            let mut of_index = Spill::new(folder.path());
            index.iter().for_each(|number| of_index.push(hash(number), &number.to_le_bytes()).unwrap());
            let mut found = BTreeSet::new();
            let collect = |record: Vec<u8>| {
                found.insert(u32::from_le_bytes(record.try_into().unwrap()));
                Ok(())
            };
            Spill::missing_in(of_index, of_table, collect).unwrap();
            prop_assert_eq!(found, index.difference(&table).copied().collect::<BTreeSet<_>>());
        }
    }
}
