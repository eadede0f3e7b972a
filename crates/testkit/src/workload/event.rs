//! Lambda-shaped events.

use std::fmt::Write;

use super::json::dynamodb_json;
use super::sessions::{Item, PARTITION_KEY, SORT_KEY, Sessions};

/// The creation time of the first record, in seconds since 1970.
pub const EVENT_TIME: u64 = 1_750_000_000;

/// The stream that the records say they come from.
pub const SESSIONS_STREAM_ARN: &str =
    "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions/stream/2025-06-15T00:00:00.000";

/// What makes up a stream record.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event_name: &'static str,
    /// `ApproximateCreationDateTime`, in seconds since 1970.
    pub seconds: u64,
    /// The high part of the sequence number: one more for every change of a partition.
    pub position: u64,
    /// The item before.
    pub old: Option<Item>,
    /// The item after.
    pub new: Option<Item>,
}

impl StreamRecord {
    /// The record as in an event.
    ///
    /// # Panics
    /// Without any image.
    #[must_use]
    pub fn to_json(&self) -> String {
        let image = self.new.as_ref().or(self.old.as_ref()).expect("an image");
        let is_key = |name: &str| name == PARTITION_KEY || name == SORT_KEY;
        let keys: Item =
            image.iter().filter(|(name, _)| is_key(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut images = String::new();
        for (name, image) in [("NewImage", &self.new), ("OldImage", &self.old)] {
            if let Some(image) = image {
                write!(images, "\"{name}\":{},", dynamodb_json(image)).unwrap();
            }
        }
        format!(
            "{{\"eventID\":\"{position:032x}\",\"eventName\":\"{name}\",\"eventVersion\":\"1.1\",\
             \"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"eu-west-1\",\"dynamodb\":{{\
             \"ApproximateCreationDateTime\":{seconds},\"Keys\":{keys},{images}\
             \"SequenceNumber\":\"{sequence}\",\"SizeBytes\":{size},\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"}},\
             \"eventSourceARN\":\"{SESSIONS_STREAM_ARN}\"}}",
            position = self.position,
            name = self.event_name,
            seconds = self.seconds,
            keys = dynamodb_json(&keys),
            sequence = sequence_number(self.position),
            size = images.len(),
        )
    }
}

/// The service's form: the high part, and twenty digits below.
fn sequence_number(position: u64) -> String {
    let low = position.wrapping_mul(7_919) % 100_000_000;
    format!("{position}000000000000{low:08}")
}

/// `count` MODIFY records with both images, about 2.3 kB each.
pub fn modifications(seed: u64, count: u32) -> impl Iterator<Item = StreamRecord> {
    let mut sessions = Sessions::new(seed, EVENT_TIME);
    (0..count).map(move |number| {
        let old = sessions.item(Sessions::key_of(number % 500, number));
        let mut new = old.clone();
        sessions.change(&mut new);
        StreamRecord {
            event_name: "MODIFY",
            seconds: EVENT_TIME + u64::from(number) / 100,
            position: 1_000_000 + u64::from(number),
            old: Some(old),
            new: Some(new),
        }
    })
}

/// An event of [`modifications`].
#[must_use]
pub fn lambda_event(seed: u64, count: u32) -> String {
    lambda_event_of(modifications(seed, count))
}

/// An event of these records.
#[must_use]
pub fn lambda_event_of(records: impl IntoIterator<Item = StreamRecord>) -> String {
    let records: Vec<String> = records.into_iter().map(|record| record.to_json()).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_expected_size_and_are_reproducible() {
        let event = lambda_event(1, 1_000);
        assert!((2_000_000..2_600_000).contains(&event.len()), "{} bytes", event.len());
        assert_eq!(event, lambda_event(1, 1_000));
        assert_ne!(event, lambda_event(2, 1_000));
        let parsed: serde_json::Value = serde_json::from_str(&event).unwrap();
        assert_eq!(parsed["Records"].as_array().unwrap().len(), 1_000);
    }

    #[test]
    fn the_low_part_has_twenty_digits() {
        assert_eq!(sequence_number(1_000_007).len(), "1000007".len() + 20);
    }
}
