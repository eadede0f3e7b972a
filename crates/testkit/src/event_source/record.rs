//! Incoming records, and records at the on-failure destination.

use std::sync::Arc;

use serde_json::json;

/// One record of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `SequenceNumber`
    pub sequence: String,
    /// What names the item: the records of one item keep their order.
    pub item: String,
    /// The record as in an event.
    pub json: String,
}

/// Records that the mapping gave up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnFailure {
    /// The shard that they came from.
    pub shard: String,
    /// The records, in order.
    pub records: Vec<Arc<Record>>,
    /// How often the function was tried.
    pub attempts: u32,
}

impl OnFailure {
    /// The object that lands in S3: the only destination that holds the event itself, as an escaped string.
    ///
    /// # Panics
    /// Without any record, which never comes out of a mapping.
    #[must_use]
    pub fn s3_object(&self, stream_arn: &str) -> String {
        let (first, last) = (self.records.first().expect("a record"), self.records.last().expect("a record"));
        json!({
            "requestContext": {
                "requestId": "5a9d1ab4-6d1d-4f6b-8e1a-0a7a4a1b0001",
                "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:streamdex",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": self.attempts,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "version": "1.0",
            "timestamp": "2025-06-15T15:06:40.000Z",
            "DDBStreamBatchInfo": {
                "shardId": self.shard,
                "startSequenceNumber": first.sequence,
                "endSequenceNumber": last.sequence,
                "approximateArrivalOfFirstRecord": "2025-06-15T15:06:40Z",
                "approximateArrivalOfLastRecord": "2025-06-15T15:06:41Z",
                "batchSize": self.records.len(),
                "streamArn": stream_arn,
            },
            "payload": event(&self.records),
        })
        .to_string()
    }
}

/// An event of these records.
pub(super) fn event(records: &[Arc<Record>]) -> String {
    let records: Vec<&str> = records.iter().map(|record| record.json.as_str()).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}
