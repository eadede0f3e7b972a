//! SDK values to what the mapper reads, borrowed.

use std::borrow::Cow;
use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::Record;
use aws_smithy_types::DateTime;
use streamdex_mapping::image::Container;
use streamdex_mapping::{
    Change, CreationTime, EventName, Image, ImageBuilder, RecordError, RecordProblem, SequenceNumber, StreamView,
};

/// Items as the table API delivers them.
pub type TableItem = HashMap<String, aws_sdk_dynamodb::types::AttributeValue>;
/// Items as the streams API delivers them: another type of the same shape.
pub type StreamItem = HashMap<String, aws_sdk_dynamodbstreams::types::AttributeValue>;

/// The principal of a REMOVE that the time to live made.
const TTL_PRINCIPAL: &str = "dynamodb.amazonaws.com";

macro_rules! image_of {
    ($name:ident, $item:ty, $value:ty, $add:ident) => {
        /// The item as an image. Attributes have no order here.
        pub fn $name(item: &$item) -> Image<'_> {
            let mut builder = ImageBuilder::default();
            for (name, value) in item {
                builder.attribute(name);
                $add(&mut builder, value);
            }
            builder.finish()
        }

        fn $add<'a>(builder: &mut ImageBuilder<'a>, value: &'a $value) {
            use $value as Value;
            match value {
                Value::S(text) => builder.string(text),
                Value::N(digits) => builder.number(digits),
                Value::B(bytes) => builder.binary(bytes.as_ref()),
                Value::Bool(value) => builder.bool(*value),
                Value::Null(_) => builder.null(),
                Value::L(values) => {
                    let open = builder.open(Container::List);
                    values.iter().for_each(|value| $add(builder, value));
                    builder.close(open);
                }
                Value::M(members) => {
                    let open = builder.open(Container::Map);
                    for (name, value) in members {
                        builder.member(name);
                        $add(builder, value);
                    }
                    builder.close(open);
                }
                Value::Ss(texts) => {
                    let open = builder.open(Container::StringSet);
                    texts.iter().for_each(|text| builder.string(text));
                    builder.close(open);
                }
                Value::Ns(numbers) => {
                    let open = builder.open(Container::NumberSet);
                    numbers.iter().for_each(|digits| builder.number(digits));
                    builder.close(open);
                }
                Value::Bs(blobs) => {
                    let open = builder.open(Container::BinarySet);
                    blobs.iter().for_each(|bytes| builder.binary(bytes.as_ref()));
                    builder.close(open);
                }
                _ => builder.unknown(),
            }
        }
    };
}

image_of!(table_image, TableItem, aws_sdk_dynamodb::types::AttributeValue, add_table_value);
image_of!(stream_image, StreamItem, aws_sdk_dynamodbstreams::types::AttributeValue, add_stream_value);

/// A record of a GetRecords page as a change, borrowed from it.
///
/// # Errors
/// The record has no keys or no event name; it is that one record's problem.
pub fn change<'a>(record: &'a Record, stream_arn: &'a str) -> Result<Change<'a>, RecordError> {
    let body = record.dynamodb.as_ref();
    let sequence = sequence(record);
    let created = body.and_then(|body| body.approximate_creation_date_time()).and_then(creation_time);
    let keys = body.and_then(|body| body.keys()).filter(|keys| !keys.is_empty());
    let problem = |reason| RecordError {
        sequence: sequence.clone(),
        created,
        keys: keys.map(|keys| streamdex_mapping::change::canonical_keys(&stream_image(keys)).into()),
        stream_arn: Some(stream_arn.into()),
        digest: None,
        reason,
    };
    let event = record.event_name().and_then(|name| EventName::parse(name.as_str()));
    let event = event.ok_or_else(|| problem(RecordProblem::EventName))?;
    let keys = keys.ok_or_else(|| problem(RecordProblem::NoKeys))?;
    Ok(Change {
        event,
        keys: stream_image(keys),
        new_image: body.and_then(|body| body.new_image()).map(stream_image),
        old_image: body.and_then(|body| body.old_image()).map(stream_image),
        created,
        not_before: None,
        sequence,
        expired: event == EventName::Remove && is_expiry(record),
        stream_arn: Some(Cow::Borrowed(stream_arn)),
        view: body.and_then(|body| body.stream_view_type()).and_then(|view| StreamView::parse(view.as_str())),
    })
}

/// The record's place in its shard.
pub fn sequence(record: &Record) -> Option<SequenceNumber> {
    SequenceNumber::parse(record.dynamodb.as_ref()?.sequence_number()?).ok()
}

/// The record's creation time, where it says one.
pub fn created(record: &Record) -> Option<CreationTime> {
    record.dynamodb.as_ref()?.approximate_creation_date_time().and_then(creation_time)
}

/// Records can carry fractions, and with some engines milli- or microseconds.
fn creation_time(time: &DateTime) -> Option<CreationTime> {
    u64::try_from(time.secs()).ok().and_then(CreationTime::from_count)
}

fn is_expiry(record: &Record) -> bool {
    let Some(identity) = record.user_identity() else { return false };
    identity.r#type() == Some("Service") && identity.principal_id() == Some(TTL_PRINCIPAL)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::types::{AttributeValue, Identity, OperationType, StreamRecord};

    use super::*;

    fn record(name: OperationType) -> aws_sdk_dynamodbstreams::types::builders::RecordBuilder {
        let body = StreamRecord::builder()
            .keys("pk", AttributeValue::S("a".into()))
            .sequence_number("000000000000000000042")
            .approximate_creation_date_time(DateTime::from_secs_f64(1_700_000_000.9));
        Record::builder().event_name(name).dynamodb(body.build())
    }

    #[test]
    fn a_record_is_read() {
        let identity = Identity::builder().r#type("Service").principal_id(TTL_PRINCIPAL).build();
        let record = record(OperationType::Remove).user_identity(identity).build();
        let change = change(&record, "arn").unwrap();
        assert_eq!(change.event, EventName::Remove);
        assert_eq!(change.canonical_keys(), r#"{"pk":{"S":"a"}}"#);
        assert_eq!(change.created, Some(CreationTime::from_seconds(1_700_000_000)));
        assert_eq!(change.sequence.unwrap().as_str(), "000000000000000000042");
        assert!(change.expired && change.new_image.is_none());
        assert_eq!(change.stream_arn.as_deref(), Some("arn"));
    }

    #[test]
    fn an_empty_identity_is_no_expiry() {
        let record = record(OperationType::Remove).user_identity(Identity::builder().build()).build();
        assert!(!change(&record, "arn").unwrap().expired);
    }

    #[test]
    fn milliseconds_are_recognised() {
        for seconds in [1_700_000_000, 1_700_000_000_123, 1_700_000_000_123_456] {
            assert_eq!(creation_time(&DateTime::from_secs(seconds)), Some(CreationTime::from_seconds(1_700_000_000)));
        }
        assert_eq!(creation_time(&DateTime::from_secs(-1)), None);
    }

    #[test]
    fn a_record_that_cannot_be_read_says_what_it_can() {
        let nameless = record(OperationType::Insert).set_event_name(None).build();
        let error = change(&nameless, "arn").unwrap_err();
        assert_eq!((error.reason, error.keys.as_deref()), (RecordProblem::EventName, Some(r#"{"pk":{"S":"a"}}"#)));
        assert_eq!(error.sequence.unwrap().as_str(), "000000000000000000042");
        let empty = Record::builder().event_name(OperationType::Insert).build();
        assert_eq!(change(&empty, "arn").unwrap_err().reason, RecordProblem::NoKeys);
    }

    #[test]
    fn unknown_types_are_the_images_problem() {
        let item: TableItem =
            HashMap::from([("x".to_owned(), aws_sdk_dynamodb::types::AttributeValue::N("1x".into()))]);
        assert_eq!(table_image(&item).problem().unwrap().attribute, "x");
    }
}
