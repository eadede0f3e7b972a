//! What a captured text is, by its shape.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::captured::{Captured, CapturedError};
use super::record::Member;

/// The members of a captured object that tell what it is.
#[derive(Default)]
pub(super) struct Shape<'a> {
    pub(super) records: Option<&'a RawValue>,
    pub(super) record: Option<&'a RawValue>,
    items: Option<&'a RawValue>,
    item: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
    batch_info: bool,
    pub(super) window: bool,
    /// `Records` came more than once.
    pub(super) two_lists: bool,
}

/// Tells what a text is without reading its records.
pub(super) fn recognise(text: &str) -> Result<Shape<'_>, CapturedError> {
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| CapturedError::Json { line: error.line(), column: error.column() })?;
    if raw.get().starts_with('[') {
        return Ok(Shape { records: Some(raw), ..Shape::default() });
    }
    let mut shape: Shape<'_> = serde_json::from_str(text).map_err(|_| CapturedError::Unknown)?;
    shape.record = shape.record.map(|_| raw);
    shape.records = shape.records.filter(|records| records.get().starts_with('['));
    if shape.window {
        return Err(CapturedError::TumblingWindow);
    }
    if shape.two_lists {
        return Err(CapturedError::TwoLists);
    }
    Ok(shape)
}

impl<'a> Shape<'a> {
    pub(super) fn note(&mut self, name: Member, value: &'a RawValue) {
        match name {
            Member::Records => self.two_lists |= self.records.replace(value).is_some(),
            Member::Dynamodb => self.record = Some(value),
            Member::Items => self.items = Some(value),
            Member::Item => self.item = Some(value),
            Member::Payload => self.payload = Some(value),
            Member::BatchInfo => self.batch_info = true,
            Member::Window => self.window = true,
            _ => {}
        }
    }

    /// For everything but records.
    pub(super) fn into_captured(self) -> Result<Captured<'a>, CapturedError> {
        match self {
            Shape { window: true, .. } => Err(CapturedError::TumblingWindow),
            Shape { two_lists: true, .. } => Err(CapturedError::TwoLists),
            Shape { payload: Some(payload), .. } => payload_text(payload).map(Captured::OnFailure),
            Shape { items: Some(items), .. } => {
                serde_json::from_str(items.get()).map(Captured::Items).map_err(|_| CapturedError::Unknown)
            }
            Shape { item: Some(item), .. } => Ok(Captured::Items(vec![item])),
            Shape { batch_info: true, .. } => Err(CapturedError::NoPayload),
            _ => Err(CapturedError::Unknown),
        }
    }
}

/// The event is an escaped string in an on-failure record; by hand it is often put there as it is.
fn payload_text(payload: &RawValue) -> Result<Cow<'_, str>, CapturedError> {
    if payload.get().starts_with('"') {
        return serde_json::from_str(payload.get()).map(Cow::Owned).map_err(|_| CapturedError::Unknown);
    }
    Ok(Cow::Borrowed(payload.get()))
}

impl<'de> serde::Deserialize<'de> for Shape<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape<'de>, A::Error> {
        let mut shape = Shape::default();
        while let Some(name) = map.next_key::<Member>()? {
            shape.note(name, map.next_value()?);
        }
        Ok(shape)
    }
}
