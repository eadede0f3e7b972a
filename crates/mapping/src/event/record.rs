//! One stream record, tolerant of every form seen in the wild.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::attribute::ImageSeed;
use super::string::Strings;
use crate::change::{Change, EventName, RecordError, RecordProblem, StreamView, canonical_keys};
use crate::image::Image;
use crate::text::Text;
use crate::version::{CreationTime, SequenceNumber};

/// Reads records one after the other into the same memory.
pub(super) struct RecordReader<'de> {
    strings: Strings<'de>,
    change: Change<'de>,
    /// Memory of images that the last record did not have.
    spare: Vec<Image<'de>>,
    event_name_found: bool,
    data_found: bool,
}

/// Reads one record into the reader.
pub(super) struct RecordSeed<'r, 'de>(pub(super) &'r mut RecordReader<'de>);

/// Reads the `dynamodb` member into the reader.
struct DataSeed<'r, 'de>(&'r mut RecordReader<'de>);

// === impl RecordReader ===

impl<'de> RecordReader<'de> {
    pub(super) fn new(strings: Strings<'de>) -> RecordReader<'de> {
        RecordReader {
            strings,
            change: Change::default(),
            spare: Vec::new(),
            event_name_found: false,
            data_found: false,
        }
    }

    pub(super) fn read(&mut self, raw: &'de RawValue) -> Result<&Change<'de>, RecordError> {
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        let read = RecordSeed(self).deserialize(&mut deserializer);
        let outcome = match read {
            Ok(()) => self.outcome(),
            Err(_) if !raw.get().starts_with('{') => Err(self.error(RecordProblem::NoRecord)),
            Err(error) => Err(self.error(malformed(&error))),
        };
        outcome.map_err(|error| with_digest(error, raw))
    }

    /// The record that was read last.
    pub(super) fn outcome(&self) -> Result<&Change<'de>, RecordError> {
        if !self.data_found {
            return Err(self.error(RecordProblem::NoRecord));
        }
        if !self.event_name_found {
            return Err(self.error(RecordProblem::EventName));
        }
        if self.change.keys.is_empty() {
            return Err(self.error(RecordProblem::NoKeys));
        }
        Ok(&self.change)
    }

    fn error(&self, reason: RecordProblem) -> RecordError {
        RecordError {
            sequence: self.change.sequence.clone(),
            created: self.change.created,
            keys: (!self.change.keys.is_empty()).then(|| canonical_keys(&self.change.keys).into()),
            stream_arn: self.change.stream_arn.as_deref().map(Box::from),
            digest: None,
            reason,
        }
    }

    pub(super) fn begin(&mut self) {
        self.begin_data();
        let keys = std::mem::take(&mut self.change.keys);
        self.change = Change { keys, ..Change::default() };
        (self.event_name_found, self.data_found) = (false, false);
    }

    /// Forgets what is in the `dynamodb` member of a record.
    fn begin_data(&mut self) {
        let change = &mut self.change;
        self.spare.extend(change.new_image.take());
        self.spare.extend(change.old_image.take());
        change.keys.clear();
        change.created = None;
        change.sequence = None;
    }

    /// Reads an image; `None` where it has nothing. One that cannot be read is the image's problem: key and neighbour
    /// may still be good for a delete.
    fn read_image<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<Image<'de>>, A::Error> {
        let mut image = self.fresh_image();
        match self.strings {
            Strings::Lent { .. } => map.next_value_seed(ImageSeed(&mut image, self.strings))?,
            Strings::Raw => {
                let raw: &'de RawValue = map.next_value()?;
                let mut deserializer = serde_json::Deserializer::from_str(raw.get());
                if ImageSeed(&mut image, self.strings).deserialize(&mut deserializer).is_err() {
                    image.set_unreadable();
                }
            }
        }
        Ok((!image.is_empty() || image.problem().is_some()).then_some(image))
    }

    fn fresh_image(&mut self) -> Image<'de> {
        let mut image = self.spare.pop().unwrap_or_default();
        image.clear();
        image
    }
}

/// A record without a sequence number is known by the digest of its text.
fn with_digest(error: RecordError, raw: &RawValue) -> RecordError {
    match error.sequence {
        Some(_) => error,
        None => RecordError { digest: Some(Box::new(Sha256::digest(raw.get().as_bytes()).into())), ..error },
    }
}

/// The parser's complaint without its words, which quote values.
pub(super) fn malformed(error: &serde_json::Error) -> RecordProblem {
    use serde_json::error::Category;
    let shape = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Syntax => "broken JSON",
        Category::Data | Category::Io => "unexpected structure",
    };
    RecordProblem::Malformed { shape, line: error.line(), column: error.column() }
}

// === impl RecordSeed ===

impl<'de> DeserializeSeed<'de> for RecordSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.begin();
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Member>()? {
            self.0.read_member(name, &mut map)?;
        }
        Ok(())
    }
}

impl<'de> RecordReader<'de> {
    /// Reads the value of one member of a record.
    pub(super) fn read_member<A: MapAccess<'de>>(&mut self, name: Member, map: &mut A) -> Result<(), A::Error> {
        let reader = self;
        match name {
            Member::EventName => {
                let event = text(map.next_value()?).and_then(|text| EventName::parse(&text.decode()));
                reader.event_name_found = event.is_some();
                reader.change.event = event.unwrap_or_default();
            }
            Member::Dynamodb => {
                reader.data_found = true;
                map.next_value_seed(DataSeed(reader))?;
            }
            Member::UserIdentity => reader.change.expired = is_expiry(map.next_value()?),
            Member::EventSourceArn => {
                reader.change.stream_arn = text(map.next_value()?).map(Text::decode);
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

// === impl DataSeed ===

impl<'de> DeserializeSeed<'de> for DataSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DataSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a stream record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        reader.begin_data();
        while let Some(name) = map.next_key::<Member>()? {
            match name {
                Member::Keys => {
                    reader.change.keys.clear();
                    map.next_value_seed(ImageSeed(&mut reader.change.keys, reader.strings))?;
                }
                Member::NewImage => reader.change.new_image = reader.read_image(&mut map)?,
                Member::OldImage => reader.change.old_image = reader.read_image(&mut map)?,
                Member::SequenceNumber => {
                    let sequence = text(map.next_value()?).and_then(|text| SequenceNumber::parse(&text.decode()).ok());
                    reader.change.sequence = sequence;
                }
                Member::StreamViewType => {
                    reader.change.view = text(map.next_value()?).and_then(|text| StreamView::parse(&text.decode()));
                }
                Member::CreationDateTime => reader.change.created = creation_time(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A string; anything else is as good as missing.
fn text(raw: &RawValue) -> Option<Text<'_>> {
    raw.get().starts_with('"').then_some(Text::Json(raw.get()))
}

/// Integer, float, float with fraction, exponent, string, milliseconds, or missing.
fn creation_time(raw: &RawValue) -> Option<CreationTime> {
    match text(raw) {
        Some(text) => CreationTime::parse(&text.decode()),
        None => CreationTime::parse(raw.get()),
    }
}

/// `{"type": "Service", "principalId": "dynamodb.amazonaws.com"}`; the AWS command line writes the names
/// in upper case.
fn is_expiry(identity: &RawValue) -> bool {
    // Members may come twice; this map keeps the last one.
    let Ok(identity) = serde_json::from_str::<serde_json::Map<String, Value>>(identity.get()) else { return false };
    let is =
        |names: [&str; 2], wanted| names.iter().any(|name| identity.get(*name).and_then(Value::as_str) == Some(wanted));
    is(["type", "Type"], "Service") && is(["principalId", "PrincipalId"], "dynamodb.amazonaws.com")
}

/// The names of members that are read, of records and of what records come in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Records,
    Payload,
    Items,
    Item,
    Window,
    BatchInfo,
    EventName,
    Dynamodb,
    UserIdentity,
    EventSourceArn,
    Keys,
    NewImage,
    OldImage,
    SequenceNumber,
    CreationDateTime,
    StreamViewType,
    Other,
}

impl<'de> serde::Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_identifier(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Member, E> {
        Ok(match name {
            "Records" => Member::Records,
            "payload" => Member::Payload,
            "Items" => Member::Items,
            "Item" => Member::Item,
            "window" => Member::Window,
            "DDBStreamBatchInfo" => Member::BatchInfo,
            "eventName" => Member::EventName,
            "dynamodb" => Member::Dynamodb,
            "userIdentity" => Member::UserIdentity,
            "eventSourceARN" => Member::EventSourceArn,
            "Keys" => Member::Keys,
            "NewImage" => Member::NewImage,
            "OldImage" => Member::OldImage,
            "SequenceNumber" => Member::SequenceNumber,
            "StreamViewType" => Member::StreamViewType,
            "ApproximateCreationDateTime" => Member::CreationDateTime,
            _ => Member::Other,
        })
    }
}
