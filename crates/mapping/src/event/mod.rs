//! Stream records out of raw JSON, borrowed from it: Lambda events, `get-records` output, single records.

mod attribute;
mod captured;
mod record;
mod shape;
mod string;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::change::{Change, RecordError, RecordProblem};
use crate::image::Image;
use attribute::ImageSeed;
pub use captured::{Captured, CapturedError};
use record::{Member, RecordReader, RecordSeed};
use shape::{Shape, recognise};
use string::Strings;

/// Reads a captured JSON text, and hands each stream record in it to `each`, in order, with its place.
///
/// One bad record is one error; its neighbours go on. The text is read in one pass; only where that
/// stops it is read again record by record, to isolate the bad one.
///
/// # Errors
/// The text is no JSON, or of no known shape. Records before the place of a JSON error may have been
/// handed over.
pub fn read_captured<'a>(
    text: &'a str,
    mut each: impl FnMut(usize, Result<&Change<'a>, RecordError>),
) -> Result<Captured<'a>, CapturedError> {
    let mut pass = Pass { reader: RecordReader::new(Strings::lent(text)), count: 0, each: &mut each };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let end = (&mut pass).deserialize(&mut deserializer).and_then(|shape| deserializer.end().map(|()| shape));
    let Pass { reader, count, .. } = pass;
    match end {
        Ok(shape) if shape.list => Ok(Captured::Records),
        Ok(shape) if shape.record && reader.outcome().is_ok() => {
            each(0, reader.outcome());
            Ok(Captured::Records)
        }
        Ok(shape) if shape.record => isolate(text, 0, each),
        Ok(shape) => shape.into_captured(),
        Err(_) => isolate(text, count, each),
    }
}

/// Reads record by record, from the record at `done` on.
fn isolate<'a>(
    text: &'a str,
    done: usize,
    mut each: impl FnMut(usize, Result<&Change<'a>, RecordError>),
) -> Result<Captured<'a>, CapturedError> {
    let shape = recognise(text)?;
    let records = match shape {
        Shape { records: Some(records), .. } => {
            serde_json::from_str::<Vec<&RawValue>>(records.get()).map_err(|_| CapturedError::Unknown)?
        }
        Shape { record: Some(record), .. } => vec![record],
        other => return other.into_captured(),
    };
    let mut reader = RecordReader::new(Strings::Raw);
    for (index, raw) in records.into_iter().enumerate().skip(done) {
        each(index, reader.read(raw));
    }
    Ok(Captured::Records)
}

/// Reads one record.
///
/// # Errors
/// It is broken, or no stream record; what could be read of it is in the error.
pub fn read_record(record: &RawValue) -> Result<Change<'_>, RecordError> {
    let mut reader = RecordReader::new(Strings::Raw);
    reader.read(record).cloned()
}

/// Reads one item (`{"pk": {"S": "…"}, …}`).
///
/// # Errors
/// It is no map of attributes. A problem inside an attribute is in [`Image::problem`].
pub fn read_item(item: &RawValue) -> Result<Image<'_>, RecordProblem> {
    let mut image = Image::default();
    let mut deserializer = serde_json::Deserializer::from_str(item.get());
    ImageSeed(&mut image, Strings::Raw).deserialize(&mut deserializer).map_err(|error| record::malformed(&error))?;
    Ok(image)
}

/// One pass over a whole text: an event, a list of records, or one record.
struct Pass<'p, 'de, F> {
    reader: RecordReader<'de>,
    count: usize,
    each: &'p mut F,
}

/// What one pass found.
#[derive(Default)]
struct Found<'de> {
    list: bool,
    record: bool,
    rest: Shape<'de>,
}

impl<'de> Found<'de> {
    fn into_captured(self) -> Result<Captured<'de>, CapturedError> {
        self.rest.into_captured()
    }
}

impl<'de, F: FnMut(usize, Result<&Change<'de>, RecordError>)> DeserializeSeed<'de> for &mut Pass<'_, 'de, F> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(usize, Result<&Change<'de>, RecordError>)> Visitor<'de> for &mut Pass<'_, 'de, F> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stream records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found<'de>, A::Error> {
        while seq.next_element_seed(RecordSeed(&mut self.reader))?.is_some() {
            let outcome = self.reader.outcome();
            if outcome.as_ref().is_err_and(|error| error.sequence.is_none()) {
                // It is known by the digest of its text alone, which only the reading one by one has.
                return Err(A::Error::custom("a record without a sequence number"));
            }
            let index = self.count;
            self.count += 1;
            (self.each)(index, outcome);
        }
        Ok(Found { list: true, ..Found::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::default();
        self.reader.begin();
        while let Some(name) = map.next_key::<Member>()? {
            match name {
                Member::Records => {
                    found.rest.two_lists |= found.list;
                    found.list |= map.next_value_seed(&mut *self)?.list;
                }
                Member::Payload | Member::Items | Member::Item | Member::Window | Member::BatchInfo => {
                    found.rest.note(name, map.next_value()?);
                }
                member => {
                    found.record |= member == Member::Dynamodb;
                    self.reader.read_member(member, &mut map)?;
                }
            }
        }
        // A window's state is refused even where records came with it, and so are two lists.
        found.list &= !found.rest.window && !found.rest.two_lists;
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
