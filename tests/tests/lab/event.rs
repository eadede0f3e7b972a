//! Events as the service delivers them.

/// A record of a new item as the service delivers it; `attributes` are members after the key.
pub(crate) fn insert(stream_arn: &str, position: u64, user: &str, attributes: &str) -> String {
    let keys = format!(r#""user_id":{{"S":"{user}"}},"session_id":{{"S":"{position}"}}"#);
    let comma = if attributes.is_empty() { "" } else { "," };
    format!(
        r#"{{"eventID":"{position:032x}","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{{"ApproximateCreationDateTime":1750000000,"Keys":{{{keys}}},"NewImage":{{{keys}{comma}{attributes}}},"SequenceNumber":"{position}00000000000000000000","SizeBytes":1,"StreamViewType":"NEW_AND_OLD_IMAGES"}},"eventSourceARN":"{stream_arn}"}}"#
    )
}

pub(crate) fn event(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}
