//! One stream record, tolerant of every form seen in the wild.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::attribute::ImageSeed;
use super::string::Strings;
use crate::change::{Change, EventName, RecordError, RecordProblem, canonical_keys};
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
}

/// Reads one record into the reader.
pub(super) struct RecordSeed<'r, 'de>(pub(super) &'r mut RecordReader<'de>);

/// Reads the `dynamodb` member into the reader.
struct DataSeed<'r, 'de>(&'r mut RecordReader<'de>);

// === impl RecordReader ===

impl<'de> RecordReader<'de> {
    pub(super) fn new(strings: Strings<'de>) -> RecordReader<'de> {
        RecordReader { strings, change: Change::default(), spare: Vec::new(), event_name_found: false }
    }

    pub(super) fn read(&mut self, raw: &'de RawValue) -> Result<&Change<'de>, RecordError> {
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        let read = RecordSeed(self).deserialize(&mut deserializer);
        let outcome = match read {
            Ok(()) => self.outcome(),
            Err(error) => Err(self.error(malformed(&error))),
        };
        outcome.map_err(|error| with_digest(error, raw))
    }

    /// The record that was read last.
    pub(super) fn outcome(&self) -> Result<&Change<'de>, RecordError> {
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
        let change = &mut self.change;
        self.spare.extend(change.new_image.take());
        self.spare.extend(change.old_image.take());
        let mut keys = std::mem::take(&mut change.keys);
        keys.clear();
        *change = Change { keys, ..Change::default() };
        self.event_name_found = false;
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
            Member::Dynamodb => map.next_value_seed(DataSeed(reader))?,
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
        let strings = reader.strings;
        while let Some(name) = map.next_key::<Member>()? {
            match name {
                Member::Keys => map.next_value_seed(ImageSeed(&mut reader.change.keys, strings))?,
                Member::NewImage => {
                    let mut image = reader.fresh_image();
                    map.next_value_seed(ImageSeed(&mut image, strings))?;
                    reader.change.new_image = (!image.is_empty()).then_some(image);
                }
                Member::OldImage => {
                    let mut image = reader.fresh_image();
                    map.next_value_seed(ImageSeed(&mut image, strings))?;
                    reader.change.old_image = (!image.is_empty()).then_some(image);
                }
                Member::SequenceNumber => {
                    let sequence = text(map.next_value()?).and_then(|text| SequenceNumber::parse(&text.decode()).ok());
                    reader.change.sequence = sequence;
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
    #[derive(serde::Deserialize)]
    struct Identity<'a> {
        #[serde(borrow, default, alias = "Type", rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default, alias = "PrincipalId", rename = "principalId")]
        principal: Cow<'a, str>,
    }
    serde_json::from_str::<Identity<'_>>(identity.get())
        .is_ok_and(|identity| identity.kind == "Service" && identity.principal == "dynamodb.amazonaws.com")
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
            "ApproximateCreationDateTime" => Member::CreationDateTime,
            _ => Member::Other,
        })
    }
}
