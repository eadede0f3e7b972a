//! The answer of GetRecords, as the service writes it.

use std::borrow::Cow;

use super::record::RecordReader;
use crate::change::ReadRecord;
use crate::json::{Cursor, Fault, place_of_fault};

/// An answer of GetRecords. A missing part is unknown, not empty.
#[derive(Debug, Default)]
pub struct RecordsAnswer<'a> {
    /// Its records, in order; `None` where it has no list of them.
    pub records: Option<Vec<ReadRecord<'a>>>,
    /// Where the shard goes on; `None` where the answer does not say so.
    pub next: Option<Cow<'a, str>>,
    /// The sizes of the records as the service reports them, in bytes, together.
    pub sizes: u64,
}

/// Why a text is no answer of DynamoDB. Values do not appear in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not a JSON answer of DynamoDB: line {line} column {column}")]
pub struct AnswerError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Reads the answer of GetRecords. Its records do not name their stream: they are taken to be from `stream_arn`.
///
/// One bad record is one error among the records.
///
/// # Errors
/// The text is no JSON, or no answer.
pub fn read_records<'a>(text: &'a str, stream_arn: &'a str) -> Result<RecordsAnswer<'a>, AnswerError> {
    let mut reader = RecordReader::new(text);
    let mut answer = RecordsAnswer::default();
    read_answer(&mut reader, stream_arn, &mut answer).map_err(|_| {
        let (line, column) = place_of_fault(text);
        AnswerError { line, column }
    })?;
    answer.sizes = reader.sizes;
    Ok(answer)
}

/// An iterator that is of another type is no absent one.
fn next<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    if cursor.peek()? != b'"' {
        return if cursor.skip()? == "null" { Ok(None) } else { Err(Fault::Shape) };
    }
    let next = cursor.literal()?.whole().ok_or(Fault::Shape)?.decode();
    Ok(Some(next).filter(|next| !next.is_empty()))
}

fn read_answer<'a>(
    reader: &mut RecordReader<'a>,
    stream_arn: &'a str,
    answer: &mut RecordsAnswer<'a>,
) -> Result<(), Fault> {
    reader.cursor().open(b'{')?;
    let mut first = true;
    while let Some(name) = reader.cursor().next_member(&mut first)? {
        match &*name.decode() {
            "Records" if reader.cursor().peek()? == b'[' => {
                let mut records = Vec::new();
                reader.read_list(|reader| records.push(reader.take(stream_arn)))?;
                answer.records = Some(records);
            }
            "Records" => {
                reader.cursor().skip()?;
                answer.records = None;
            }
            "NextShardIterator" => answer.next = next(reader.cursor())?,
            _ => drop(reader.cursor().skip()?),
        }
    }
    reader.cursor().end()
}
