//! Recognises an event and maps its records. Nothing is sent here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use streamdex_delivery::capture::{Capture, CaptureError, Capturer};
use streamdex_mapping::Trust;
use streamdex_mapping::event::{CapturedError, text_of};

use crate::intake::Intake;

/// The form of an event: who reads the answer, and whether its images are current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It comes from an event source mapping: an object with `Records`, whose readable records all name one
    /// stream (`eventSourceARN`). The records come in order from their shard, so their images are written, and
    /// the mapping reads the list of what is to come again.
    SourceMapping,
    /// Anything else that carries stream records: an on-failure record sent again, the output of `get-records`,
    /// a list, one record, records of several streams. Each item is read from the table, and nobody reads a
    /// list, so an undecided record fails the invocation.
    ByHand,
}

/// An event, read.
#[derive(Debug)]
pub struct Event {
    /// What it is.
    pub form: Form,
    /// Its records, mapped.
    pub capture: Capture,
    /// The number of records that there was no time to map. They are undecided.
    pub postponed: usize,
}

/// Why an event cannot be taken. Nothing of it was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// It is of no known form, or its records do not fit the configuration.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Its records come from another service.
    #[error("the event comes from {0}, but this function accepts only records of DynamoDB streams")]
    OtherService(String),
    /// It is nothing that holds stream records.
    #[error(
        "the event is not a DynamoDB stream event: expected {{\"Records\": […]}} with stream records, or an on-failure record with its payload"
    )]
    NoEvent,
    /// It holds items instead of changes.
    #[error("the event holds items, but items are not changes")]
    Items,
}

/// As [`read`], of a body as it came.
///
/// # Errors
/// See [`EventError`]; a body that is no UTF-8 is no JSON.
pub fn read_bytes(capturer: &Capturer, intake: &Intake, body: &[u8]) -> Result<Event, EventError> {
    let no_json = |(line, column)| CaptureError::Form(CapturedError::Json { line, column });
    read(capturer, intake, text_of(body).map_err(no_json)?)
}

/// Reads an event and maps its records, as far as `intake` has them mapped.
///
/// # Errors
/// See [`EventError`].
pub fn read(capturer: &Capturer, intake: &Intake, text: &str) -> Result<Event, EventError> {
    if !has_records(text) {
        return by_hand(capturer, intake, text);
    }
    let (mut capture, images) = (Capture::default(), intake.images());
    let payload = capturer.read_screened(text, Trust::InOrder, &images, &mut capture);
    if let Some(payload) = payload.map_err(|error| refuse(error, text))? {
        return redriven(capturer, intake, &payload);
    }
    if !capture.items.is_empty() {
        return Err(EventError::Items);
    }
    check_service(text, &capture)?;
    if capture.origin.is_doubtful() {
        // Made by hand after all, which only its records show.
        return by_hand(capturer, intake, text);
    }
    capturer.check(&capture)?;
    Ok(Event { form: Form::SourceMapping, capture, postponed: images.postponed() })
}

fn by_hand(capturer: &Capturer, intake: &Intake, text: &str) -> Result<Event, EventError> {
    match read_items(capturer, intake, text)? {
        (event, None) => Ok(event),
        (_, Some(payload)) => redriven(capturer, intake, &payload),
    }
}

/// The event inside an on-failure record. No destination wraps a failure twice.
fn redriven(capturer: &Capturer, intake: &Intake, payload: &str) -> Result<Event, EventError> {
    match read_items(capturer, intake, payload)? {
        (event, None) => Ok(event),
        (_, Some(_)) => Err(EventError::NoEvent),
    }
}

/// Records whose items are to be read, or the event that an on-failure record carries.
fn read_items<'t>(
    capturer: &Capturer,
    intake: &Intake,
    text: &'t str,
) -> Result<(Event, Option<Cow<'t, str>>), EventError> {
    let (mut capture, reads) = (Capture::default(), intake.reads());
    let payload =
        capturer.read_screened(text, Trust::ReadItem, &reads, &mut capture).map_err(|error| refuse(error, text))?;
    if !capture.items.is_empty() {
        return Err(EventError::Items);
    }
    check_service(text, &capture)?;
    if let Some(mismatch) = capture.mismatch.take() {
        return Err(EventError::Capture(CaptureError::View(mismatch)));
    }
    capturer.check(&capture)?;
    Ok((Event { form: Form::ByHand, capture, postponed: reads.postponed() }, payload))
}

fn refuse(error: CaptureError, text: &str) -> EventError {
    match error {
        CaptureError::NoRecords => other_service(text).unwrap_or(EventError::NoEvent),
        CaptureError::Form(CapturedError::Unknown) => EventError::NoEvent,
        error => EventError::Capture(error),
    }
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
}

/// Whether the text is an object with a member `Records`. Lambda writes that member first and alone, so the
/// rest is rarely looked at.
fn has_records(text: &str) -> bool {
    let Some(inside) = text.trim_start().strip_prefix('{') else { return false };
    inside.trim_start().starts_with("\"Records\"")
        || serde_json::from_str::<Members<'_>>(text).is_ok_and(|members| members.records.is_some())
}

#[derive(Deserialize)]
struct Sender<'a> {
    #[serde(borrow, rename = "eventSource", alias = "EventSource")]
    event_source: Option<Cow<'a, str>>,
}

/// Records of another service cannot be read; they must not become dead letters.
fn check_service(text: &str, capture: &Capture) -> Result<(), EventError> {
    if capture.pages.values().all(|page| page.refused() == 0) {
        return Ok(());
    }
    other_service(text).map_or(Ok(()), Err)
}

/// The first service beside DynamoDB that a record names as its sender.
fn other_service(text: &str) -> Option<EventError> {
    let members: Option<Members<'_>> = serde_json::from_str(text).ok();
    let records = members.and_then(|members| members.records);
    let records: Vec<&RawValue> = records.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    let senders = records.iter().filter_map(|record| serde_json::from_str::<Sender<'_>>(record.get()).ok());
    let other = senders.filter_map(|sender| sender.event_source).find(|source| source != DYNAMODB)?;
    Some(EventError::OtherService(other.chars().take(64).collect()))
}

const DYNAMODB: &str = "aws:dynamodb";

// === impl EventError ===

impl EventError {
    /// A word for the kind of error, as Lambda's metrics and destinations show it.
    pub fn name(&self) -> &'static str {
        match self {
            EventError::Capture(CaptureError::UnknownTable { .. } | CaptureError::NoTable) => "UnknownTable",
            EventError::Capture(CaptureError::Configuration(_) | CaptureError::View(_)) => "Configuration",
            EventError::Capture(_) | EventError::NoEvent | EventError::Items => "UnknownEvent",
            EventError::OtherService(_) => "OtherService",
        }
    }

    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            EventError::Capture(error) => error.hint(),
            EventError::OtherService(_) => "remove this trigger from the function",
            EventError::NoEvent => {
                "add an event source mapping for the table's stream; to try the function by hand, send {\"Records\": []}"
            }
            EventError::Items => "write the items to the table again, or use `streamdex map` to see what they give",
        }
    }
}

#[cfg(test)]
mod tests;
