//! One stream record, tolerant of every form seen in the wild.

use std::borrow::Cow;

use bytes::BytesMut;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::value::Reader;
use crate::change::{Change, EventName, ReadRecord, RecordError, RecordProblem, StreamView, canonical_keys};
use crate::image::Image;
use crate::json::{Cursor, Fault};
use crate::text::Text;
use crate::version::{CreationTime, SequenceNumber};

/// Reads records one after the other into the same memory.
pub(super) struct RecordReader<'a> {
    reader: Reader<'a>,
    change: Change<'a>,
    /// Memory of images that the last record did not have.
    spare: Vec<Image<'a>>,
    /// What the images of the records were written to; their documents share it.
    written: BytesMut,
    /// The sizes of all records so far, in bytes, as far as they say them.
    pub(super) sizes: u64,
    /// Where the record begins.
    begins: usize,
    text: &'a str,
    event_name_found: bool,
    data_found: bool,
    /// Where the first part ends that cannot be read.
    malformed: Option<usize>,
}

/// The memory that is shared grows by so much.
const CHUNK: usize = 64 * 1024;

// === impl RecordReader ===

impl<'a> RecordReader<'a> {
    pub(super) fn new(text: &'a str) -> RecordReader<'a> {
        RecordReader {
            reader: Reader::new(text),
            change: Change::default(),
            spare: Vec::new(),
            written: BytesMut::with_capacity(text.len().min(CHUNK)),
            sizes: 0,
            begins: 0,
            text: "",
            event_name_found: false,
            data_found: false,
            malformed: None,
        }
    }

    /// Where it stands in the text.
    pub(super) fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.reader.cursor
    }

    /// Reads the list of records that begins here. `each` is called when one is read.
    pub(super) fn read_list(&mut self, mut each: impl FnMut(&mut RecordReader<'a>)) -> Result<(), Fault> {
        self.cursor().take(b'[')?;
        let mut first = true;
        while self.cursor().next_element(&mut first)? {
            self.read()?;
            each(self);
        }
        Ok(())
    }

    /// Reads the next value as a record.
    fn read(&mut self) -> Result<(), Fault> {
        self.begin()?;
        if self.cursor().peek()? == b'{' {
            self.cursor().take(b'{')?;
            let mut first = true;
            while let Some(name) = self.cursor().next_member(&mut first)? {
                self.read_member(name)?;
            }
        } else {
            self.cursor().skip()?;
        }
        self.end();
        Ok(())
    }

    /// Forgets the last record.
    pub(super) fn begin(&mut self) -> Result<(), Fault> {
        self.cursor().peek()?;
        self.begins = self.cursor().at();
        self.reader.out.clear();
        self.begin_data();
        let keys = std::mem::take(&mut self.change.keys);
        self.change = Change { keys, ..Change::default() };
        (self.event_name_found, self.data_found, self.malformed) = (false, false, None);
        Ok(())
    }

    /// Forgets what is in the `dynamodb` member of a record.
    fn begin_data(&mut self) {
        let change = &mut self.change;
        self.spare.extend(change.new_image.take());
        self.spare.extend(change.old_image.take());
        change.keys.clear();
        change.created = None;
        change.sequence = None;
        change.view = None;
    }

    /// All members of the record are read.
    pub(super) fn end(&mut self) {
        let begins = self.begins;
        self.text = self.cursor().since(begins);
        let written = if self.reader.out.len() > CHUNK / 2 {
            std::mem::take(&mut self.reader.out).into()
        } else {
            self.written.extend_from_slice(&self.reader.out);
            self.written.split().freeze()
        };
        let change = &mut self.change;
        for image in [&mut change.new_image, &mut change.old_image].into_iter().flatten() {
            image.written = written.clone();
        }
        change.keys.written = written;
    }

    /// The record that was read last.
    pub(super) fn outcome(&self) -> Result<&Change<'a>, RecordError> {
        let problem = match &self.malformed {
            Some(ends) => {
                RecordProblem::malformed(Fault::Shape, self.text.get(..ends - self.begins).unwrap_or_default())
            }
            None if !self.data_found => RecordProblem::NoRecord,
            None if !self.event_name_found => RecordProblem::EventName,
            None if self.change.keys.is_empty() => RecordProblem::NoKeys,
            None => return Ok(&self.change),
        };
        Err(self.error(problem))
    }

    /// The record that was read last, which is from this stream.
    pub(super) fn take(&mut self, stream_arn: &'a str) -> ReadRecord<'a> {
        self.change.stream_arn = Some(Cow::Borrowed(stream_arn));
        self.outcome().map(drop)?;
        Ok(std::mem::take(&mut self.change))
    }

    fn error(&self, reason: RecordProblem) -> RecordError {
        // A record without a sequence number is known by the digest of its text.
        let digest = || Box::new(Sha256::digest(self.text.as_bytes()).into());
        RecordError {
            sequence: self.change.sequence.clone(),
            created: self.change.created,
            keys: (!self.change.keys.is_empty()).then(|| canonical_keys(&self.change.keys).into()),
            stream_arn: self.change.stream_arn.as_deref().map(Box::from),
            digest: self.change.sequence.is_none().then(digest),
            reason,
        }
    }

    /// Reads the value of one member of a record.
    pub(super) fn read_member(&mut self, name: Text<'a>) -> Result<(), Fault> {
        match &*name.decode() {
            "eventName" => {
                let event = self.text()?.and_then(|text| EventName::parse(&text));
                self.event_name_found = event.is_some();
                self.change.event = event.unwrap_or_default();
            }
            "dynamodb" => {
                self.data_found = true;
                self.malformed = None;
                self.read_or_note(RecordReader::read_data)?;
            }
            "userIdentity" => self.change.expired = is_expiry(self.cursor().skip()?),
            "eventSourceARN" => self.change.stream_arn = self.text()?,
            _ => drop(self.cursor().skip()?),
        }
        Ok(())
    }

    fn read_data(&mut self) -> Result<(), Fault> {
        self.cursor().open(b'{')?;
        self.begin_data();
        let mut first = true;
        while let Some(name) = self.cursor().next_member(&mut first)? {
            match &*name.decode() {
                "Keys" => {
                    self.malformed = None;
                    self.read_or_note(RecordReader::read_keys)?;
                }
                "NewImage" => {
                    let other = self.change.old_image.take();
                    self.change.new_image = self.read_image(other.as_ref())?;
                    self.change.old_image = other;
                }
                "OldImage" => {
                    let other = self.change.new_image.take();
                    self.change.old_image = self.read_image(other.as_ref())?;
                    self.change.new_image = other;
                }
                "SequenceNumber" => {
                    self.change.sequence = self.text()?.and_then(|text| SequenceNumber::parse(&text).ok());
                }
                "StreamViewType" => self.change.view = self.text()?.and_then(|text| StreamView::parse(&text)),
                "ApproximateCreationDateTime" => {
                    // Integer, float, float with fraction, exponent, string, milliseconds, or missing.
                    let raw = self.cursor().skip()?;
                    let text = string(raw).unwrap_or(Cow::Borrowed(raw));
                    self.change.created = CreationTime::parse(&text);
                }
                "SizeBytes" => {
                    let size = self.cursor().skip()?.parse::<u64>().unwrap_or_default();
                    self.sizes = self.sizes.saturating_add(size);
                }
                _ => drop(self.cursor().skip()?),
            }
        }
        Ok(())
    }

    /// Where a part has another shape, notes where that ends and passes over it: the rest of the record is still read.
    fn read_or_note(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        let at = self.cursor().at();
        match read(self) {
            Err(Fault::Shape) => {
                self.cursor().move_to(at);
                self.cursor().skip()?;
                let ends = self.cursor().at();
                self.malformed.get_or_insert(ends);
                Ok(())
            }
            read => read,
        }
    }

    fn read_keys(&mut self) -> Result<(), Fault> {
        let mut keys = std::mem::take(&mut self.change.keys);
        keys.clear();
        let read = self.reader.image(&mut keys, None);
        if read.is_err() {
            keys.clear();
        }
        self.change.keys = keys;
        read
    }

    /// Reads an image; `None` where it has nothing. One that cannot be read is the image's problem: key and neighbour
    /// may still be good for a delete.
    fn read_image(&mut self, other: Option<&Image<'a>>) -> Result<Option<Image<'a>>, Fault> {
        let mut image = self.spare.pop().unwrap_or_default();
        image.clear();
        let at = self.cursor().at();
        match self.reader.image(&mut image, other) {
            Ok(()) => {}
            Err(Fault::Shape) => {
                image.set_unreadable();
                self.cursor().move_to(at);
                self.cursor().skip()?;
            }
            Err(fault) => return Err(fault),
        }
        Ok((!image.is_empty() || image.problem().is_some()).then_some(image))
    }

    /// A string; anything else is as good as missing.
    fn text(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        Ok(string(self.cursor().skip()?))
    }
}

fn string(raw: &str) -> Option<Cow<'_, str>> {
    raw.starts_with('"').then(|| Text::of_literal(raw).decode())
}

/// `{"type": "Service", "principalId": "dynamodb.amazonaws.com"}`; the AWS command line and GetRecords write the names in
/// upper case.
fn is_expiry(identity: &str) -> bool {
    // Members may come twice; this map keeps the last one.
    let Ok(identity) = serde_json::from_str::<serde_json::Map<String, Value>>(identity) else { return false };
    let is =
        |names: [&str; 2], wanted| names.iter().any(|name| identity.get(*name).and_then(Value::as_str) == Some(wanted));
    is(["type", "Type"], "Service") && is(["principalId", "PrincipalId"], "dynamodb.amazonaws.com")
}
