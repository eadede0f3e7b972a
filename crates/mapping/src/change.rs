//! One change of one item, from a stream record.

use std::borrow::Cow;

use crate::image::{Image, Scalar};
use crate::json::{Fault, end_of};
use crate::text::{Text, write_json_string};
use crate::version::{CreationTime, SequenceNumber};

/// What happened to the item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EventName {
    /// It was not there before.
    Insert,
    /// It was there before and is there after.
    #[default]
    Modify,
    /// It is gone.
    Remove,
}

/// One stream record, whatever it was read from.
#[derive(Debug, Clone, Default)]
pub struct Change<'a> {
    /// What happened.
    pub event: EventName,
    /// The key attributes, in no order that means anything.
    pub keys: Image<'a>,
    /// The item after the change, where the stream carries it.
    pub new_image: Option<Image<'a>>,
    /// The item before the change, where the stream carries it.
    pub old_image: Option<Image<'a>>,
    /// When it happened; `None` where the record does not say so in a usable form.
    pub created: Option<CreationTime>,
    /// The second that its version takes where that is a larger one: an earlier record of its item has it
    /// ([`ItemOrder`](crate::ItemOrder)).
    pub not_before: Option<CreationTime>,
    /// Its place in the shard; `None` where the record has none that can be read.
    pub sequence: Option<SequenceNumber>,
    /// Whether DynamoDB itself removed it because its time to live was over.
    pub expired: bool,
    /// The ARN of the stream, where the record says it.
    pub stream_arn: Option<Cow<'a, str>>,
    /// What the stream carries; `None` where the record does not say so, or names a view that is not known.
    pub view: Option<StreamView>,
}

/// A stream record, read.
pub type ReadRecord<'a> = Result<Change<'a>, RecordError>;

/// What the records of a stream carry besides the keys. Fixed for a stream's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamView {
    /// Nothing.
    KeysOnly,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// Both.
    NewAndOldImages,
}

/// A record that cannot be read. It is that one record's problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Its place in the sequence, where that much could be read.
    pub sequence: Option<SequenceNumber>,
    /// When it was created, where that much could be read.
    pub created: Option<CreationTime>,
    /// Its key as DynamoDB JSON, where that much could be read.
    pub keys: Option<Box<str>>,
    /// The ARN of the stream, where that much could be read.
    pub stream_arn: Option<Box<str>>,
    /// SHA-256 of the raw record, where it has no sequence number to be known by.
    pub digest: Option<Box<[u8; 32]>>,
    /// What is wrong.
    pub reason: RecordProblem,
}

/// What is wrong with a record. No values of the record appear in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProblem {
    /// The JSON is broken, or has another shape than a stream record's.
    #[error("not a stream record: {shape} at line {line} column {column}")]
    Malformed {
        /// What was found, in the words of the parser, without values.
        shape: &'static str,
        /// Line inside the record, from 1.
        line: usize,
        /// Column in that line.
        column: usize,
    },
    /// No `dynamodb`: whatever it is, it is no stream record.
    #[error("it has no dynamodb, so it is not a stream record")]
    NoRecord,
    /// No `eventName` among INSERT, MODIFY, REMOVE.
    #[error("eventName is missing, or is not INSERT, MODIFY or REMOVE")]
    EventName,
    /// No key attributes.
    #[error("the record has no Keys")]
    NoKeys,
    /// A route needs the item as it was before, and the record does not carry it.
    #[error("the record has no OldImage, which its routes need: its earlier document is unknown")]
    NoOldImage,
}

// === impl RecordProblem ===

impl RecordProblem {
    /// The kind of a fault and its place, behind `before`; without the text, which may hold values.
    pub(crate) fn malformed(fault: Fault, before: &str) -> RecordProblem {
        let shape = match fault {
            Fault::End => "it is truncated",
            Fault::Syntax => "broken JSON",
            Fault::Shape => "unexpected structure",
        };
        let (line, column) = end_of(before.as_bytes());
        RecordProblem::Malformed { shape, line, column }
    }

    /// A word for the kind of problem.
    pub fn name(&self) -> &'static str {
        match self {
            RecordProblem::Malformed { .. } | RecordProblem::NoRecord => "malformed_record",
            RecordProblem::EventName => "unknown_event_name",
            RecordProblem::NoKeys => "no_keys",
            RecordProblem::NoOldImage => "no_old_image",
        }
    }
}

// === impl StreamView ===

impl StreamView {
    /// From the name that DynamoDB has for it.
    pub fn parse(name: &str) -> Option<StreamView> {
        let views = [StreamView::KeysOnly, StreamView::NewImage, StreamView::OldImage, StreamView::NewAndOldImages];
        views.into_iter().find(|view| view.name() == name)
    }

    /// The name that DynamoDB has for it.
    pub fn name(self) -> &'static str {
        match self {
            StreamView::KeysOnly => "KEYS_ONLY",
            StreamView::NewImage => "NEW_IMAGE",
            StreamView::OldImage => "OLD_IMAGE",
            StreamView::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    /// Whether records carry the item as it was before.
    pub fn has_old_image(self) -> bool {
        matches!(self, StreamView::OldImage | StreamView::NewAndOldImages)
    }
}

// === impl EventName ===

impl EventName {
    /// From the text in a record; case does not matter.
    pub fn parse(text: &str) -> Option<EventName> {
        [("INSERT", EventName::Insert), ("MODIFY", EventName::Modify), ("REMOVE", EventName::Remove)]
            .into_iter()
            .find_map(|(name, event)| name.eq_ignore_ascii_case(text).then_some(event))
    }
}

// === impl Change ===

impl Change<'_> {
    /// The key as DynamoDB JSON with ascending names: the same text for the same key, whatever the
    /// order in which the record gave it.
    pub fn canonical_keys(&self) -> String {
        canonical_keys(&self.keys)
    }
}

/// See [`Change::canonical_keys`]. Values that cannot be a key are written as `null`.
pub(crate) fn canonical_keys(keys: &Image<'_>) -> String {
    let mut attributes: Vec<_> = keys.attributes.iter().collect();
    if attributes.len() > 1 {
        attributes.sort_by_key(|attribute| attribute.name);
    }
    let mut out = Vec::with_capacity(96);
    out.push(b'{');
    for (position, attribute) in attributes.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        // Escapes are resolved and made again, so that one key has one text.
        write_json_string(&attribute.name.decode(), &mut out);
        out.push(b':');
        match attribute.scalar() {
            Some(Scalar::String(text)) => write_tagged(b"{\"S\":", text, &mut out),
            Some(Scalar::Number(text)) => write_tagged(b"{\"N\":", text, &mut out),
            Some(Scalar::Binary(text)) => write_tagged(b"{\"B\":", text, &mut out),
            Some(Scalar::Bool(_)) | None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}

fn write_tagged(open: &[u8], text: Text<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(open);
    write_json_string(&text.decode(), out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read_item;

    #[test]
    fn canonical_keys_do_not_depend_on_the_order() {
        let text = |keys| canonical_keys(&read_item(keys).unwrap());
        let one = r#"{"at":{"B":"AP8="},"pk":{"S":"a\"b\u0041/"}}"#;
        let other = r#"{"\u0070k" : {"S":"a\"bA\/"}, "at":{"B":"AP8="}}"#;
        assert_eq!(text(one), text(other));
        assert_eq!(text(one), r#"{"at":{"B":"AP8="},"pk":{"S":"a\"bA/"}}"#);
    }
}
