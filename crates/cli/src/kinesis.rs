//! Distinguishes records that came through a Kinesis data stream from those of the table's own stream.

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Record {
    /// What a Kinesis event of Lambda holds its data in.
    kinesis: Option<IgnoredAny>,
    /// DynamoDB writes it into Kinesis streams alone.
    #[serde(rename = "recordFormat")]
    format: Option<IgnoredAny>,
    dynamodb: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "SequenceNumber")]
    sequence: Option<IgnoredAny>,
}

/// Whether a record in `text` came through Kinesis: it has no sequence number then, and may come twice or late.
pub(crate) fn came_through_kinesis(text: &str) -> bool {
    // Looking for the words is cheap, and nearly always enough.
    let holds = |word: &str| memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    if !holds("\"recordFormat\"") && !holds("\"kinesis\"") {
        return false;
    }
    let list = serde_json::from_str::<Event<'_>>(text).map(|event| event.records);
    match list.or_else(|_| serde_json::from_str::<Vec<&RawValue>>(text)) {
        Ok(records) => records.iter().any(|record| is_wrapped(record.get())),
        Err(_) => is_wrapped(text),
    }
}

fn is_wrapped(record: &str) -> bool {
    serde_json::from_str::<Record>(record).is_ok_and(|record| {
        let numbered = record.dynamodb.is_some_and(|data| data.sequence.is_some());
        record.kinesis.is_some() || (record.format.is_some() && !numbered)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_of_kinesis_are_seen_and_nothing_else() {
        let of_kinesis =
            r#"{"eventName":"INSERT","recordFormat":"application/json","tableName":"t","dynamodb":{"Keys":{}}}"#;
        let of_lambda = r#"{"kinesis":{"data":"eA=="},"eventSource":"aws:kinesis","eventName":"aws:kinesis:record"}"#;
        let plain = r#"{"eventName":"INSERT","dynamodb":{"Keys":{},"SequenceNumber":"7"}}"#;
        for record in [of_kinesis, of_lambda] {
            for text in [record.to_owned(), format!("[{plain},{record}]"), format!(r#"{{"Records":[{record}]}}"#)] {
                assert!(came_through_kinesis(&text), "{text}");
            }
        }
        let named = plain.replace(r#""Keys":{}"#, r#""Keys":{"kinesis":{"S":"x"},"recordFormat":{"S":"y"}}"#);
        for text in [plain.to_owned(), named, format!("[{plain}]"), "\"kinesis\"".to_owned()] {
            assert!(!came_through_kinesis(&text), "{text}");
        }
    }
}
