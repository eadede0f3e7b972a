//! Stream records out of raw JSON, borrowed from it: Lambda events, `get-records` output, single records.

mod answer;
mod captured;
pub(crate) mod item;
mod record;
mod value;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::change::{Change, RecordError};
use crate::json::{Fault, end_of, place_of_fault};
pub use answer::{AnswerError, RecordsAnswer, read_records};
pub use captured::{Captured, CapturedError};
pub use item::read_item;
use record::RecordReader;

/// Reads a captured JSON text in one pass, and hands each stream record in it to `each`, in order, with its place.
///
/// One bad record is one error; its neighbours go on.
///
/// # Errors
/// The text is no JSON, or of no known shape. Records before the place of an error may have been handed over.
pub fn read_captured<'a>(
    text: &'a str,
    mut each: impl FnMut(usize, Result<&Change<'a>, RecordError>),
) -> Result<Captured<'a>, CapturedError> {
    let mut reader = RecordReader::new(text);
    let shape = match read_shape(&mut reader, &mut each) {
        Ok(shape) => shape,
        Err(_) => {
            let (line, column) = place_of_fault(text);
            return Err(CapturedError::Json { line, column });
        }
    };
    match shape {
        Shape { window: Some(_), .. } => Err(CapturedError::TumblingWindow),
        Shape { lists: 1, .. } => Ok(Captured::Records),
        Shape { lists: 2.., .. } => Err(CapturedError::Lists),
        Shape { record: true, .. } => {
            each(0, reader.outcome());
            Ok(Captured::Records)
        }
        Shape { payload: Some(payload), .. } => payload_text(payload).map(Captured::OnFailure),
        Shape { items: Some(items), .. } => elements(items).map(Captured::Items),
        Shape { item: Some(item), .. } => Ok(Captured::Items(vec![item])),
        Shape { batch_info: Some(_), .. } => Err(CapturedError::NoPayload),
        _ => Err(CapturedError::Unknown),
    }
}

/// A body as text.
///
/// # Errors
/// It is no UTF-8: line and column, from 1, of the first byte that is none.
pub fn text_of(body: &[u8]) -> Result<&str, (usize, usize)> {
    std::str::from_utf8(body).map_err(|error| {
        let (line, column) = end_of(body.get(..error.valid_up_to()).unwrap_or_default());
        (line, column + 1)
    })
}

/// What a captured text holds. Its records were handed over.
#[derive(Default)]
struct Shape<'a> {
    /// Lists of records.
    lists: usize,
    /// It is a record, or has one's members.
    record: bool,
    items: Option<&'a str>,
    item: Option<&'a str>,
    payload: Option<&'a str>,
    batch_info: Option<&'a str>,
    window: Option<&'a str>,
}

fn read_shape<'a>(
    reader: &mut RecordReader<'a>,
    each: &mut impl FnMut(usize, Result<&Change<'a>, RecordError>),
) -> Result<Shape<'a>, Fault> {
    let mut shape = Shape::default();
    match reader.cursor().peek()? {
        b'[' => {
            read_list(reader, each)?;
            shape.lists = 1;
        }
        b'{' => read_object(reader, &mut shape, each)?,
        _ => drop(reader.cursor().skip()?),
    }
    reader.cursor().end()?;
    Ok(shape)
}

fn read_object<'a>(
    reader: &mut RecordReader<'a>,
    shape: &mut Shape<'a>,
    each: &mut impl FnMut(usize, Result<&Change<'a>, RecordError>),
) -> Result<(), Fault> {
    reader.begin()?;
    reader.cursor().take(b'{')?;
    let mut first = true;
    while let Some(name) = reader.cursor().next_member(&mut first)? {
        let cursor = reader.cursor();
        match &*name.decode() {
            "Records" if cursor.peek()? == b'[' => {
                shape.lists += 1;
                match shape.lists {
                    1 => read_list(reader, each)?,
                    _ => drop(cursor.skip()?),
                }
            }
            "payload" => shape.payload = Some(cursor.skip()?),
            "Items" => shape.items = Some(cursor.skip()?),
            "Item" => shape.item = Some(cursor.skip()?),
            "window" => shape.window = Some(cursor.skip()?),
            "DDBStreamBatchInfo" => shape.batch_info = Some(cursor.skip()?),
            member => {
                shape.record |= member == "dynamodb";
                reader.read_member(name)?;
            }
        }
    }
    reader.end();
    Ok(())
}

/// Reads the list that begins here, and hands its records over.
fn read_list<'a>(
    reader: &mut RecordReader<'a>,
    each: &mut impl FnMut(usize, Result<&Change<'a>, RecordError>),
) -> Result<(), Fault> {
    let mut count = 0;
    reader.read_list(|reader| {
        each(count, reader.outcome());
        count += 1;
    })
}

/// The event is an escaped string in an on-failure record; by hand it is often put there as it is.
fn payload_text(payload: &str) -> Result<Cow<'_, str>, CapturedError> {
    if payload.starts_with('"') {
        return serde_json::from_str(payload).map(Cow::Owned).map_err(|_| CapturedError::Unknown);
    }
    Ok(Cow::Borrowed(payload))
}

/// The texts of the elements of a list that was read.
fn elements(list: &str) -> Result<Vec<&str>, CapturedError> {
    let elements = serde_json::from_str::<Vec<&RawValue>>(list).map_err(|_| CapturedError::Unknown)?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// The item as an image that lasts.
#[cfg(test)]
pub(crate) fn image_of(item: serde_json::Value) -> crate::image::Image<'static> {
    read_item(item.to_string().leak()).unwrap()
}

#[cfg(test)]
mod tests;
