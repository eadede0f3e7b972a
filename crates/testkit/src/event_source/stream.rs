//! The stream of a table at an emulator, read into an event source as the service reads it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::record::Record;
use super::source::EventSource;
use crate::http::Forward;

/// What the emulators want to see; they look at its form alone.
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";

/// A stream, and how far it was read.
#[derive(Debug)]
pub struct EmulatedStream {
    emulator: Forward,
    arn: String,
    shards: BTreeMap<String, Place>,
}

/// How far a shard was read.
#[derive(Debug, Clone)]
enum Place {
    Beginning,
    At(String),
    End,
}

/// DynamoDB Local says so of the beginning of a shard that is empty yet.
const TRIMMED: &str = "TrimmedDataAccessException";

impl EmulatedStream {
    /// The stream at `endpoint`, from its beginning.
    #[must_use]
    pub fn new(endpoint: &str, arn: &str) -> EmulatedStream {
        EmulatedStream { emulator: Forward::to(endpoint), arn: arn.to_owned(), shards: BTreeMap::new() }
    }

    /// Adds to `source` what has come since the last call.
    ///
    /// # Panics
    /// When the emulator does not answer as the service does.
    pub async fn read_into(&mut self, source: &mut EventSource) {
        let listed = self.call("DescribeStream", json!({"StreamArn": self.arn})).await;
        for shard in listed["StreamDescription"]["Shards"].as_array().expect("Shards") {
            let id = text(shard, "ShardId");
            if let Entry::Vacant(place) = self.shards.entry(id) {
                source.add_shard(place.key(), shard["ParentShardId"].as_str());
                place.insert(Place::Beginning);
            }
        }
        for (id, mut place) in self.shards.clone() {
            while let Some(page) = self.page(&id, &place).await {
                place = page["NextShardIterator"].as_str().map_or(Place::End, |next| Place::At(next.to_owned()));
                let records = page["Records"].as_array().expect("Records");
                for record in records {
                    source.add(&id, self.record(record));
                }
                if records.is_empty() {
                    break;
                }
            }
            self.shards.insert(id, place);
        }
    }

    /// The next page of a shard, if there is one.
    async fn page(&self, shard: &str, place: &Place) -> Option<Value> {
        let iterator = match place {
            Place::Beginning => {
                let from = json!({"StreamArn": self.arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
                text(&self.call("GetShardIterator", from).await, "ShardIterator")
            }
            Place::At(iterator) => iterator.clone(),
            Place::End => return None,
        };
        match self.try_call("GetRecords", json!({"ShardIterator": iterator})).await {
            Ok(page) => Some(page),
            Err(refused) if matches!(place, Place::Beginning) && refused.contains(TRIMMED) => None,
            Err(refused) => panic!("{refused}"),
        }
    }

    fn record(&self, record: &Value) -> Record {
        let mut whole = record.clone();
        whole["eventSourceARN"] = self.arn.clone().into();
        let change = &record["dynamodb"];
        Record { sequence: text(change, "SequenceNumber"), item: change["Keys"].to_string(), json: whole.to_string() }
    }

    async fn call(&self, operation: &str, body: Value) -> Value {
        self.try_call(operation, body).await.unwrap_or_else(|refused| panic!("{refused}"))
    }

    async fn try_call(&self, operation: &str, body: Value) -> Result<Value, String> {
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDBStreams_20120810.{operation}"))
            .header("authorization", AUTHORIZATION)
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let answer = self.emulator.send(request).await.unwrap_or_else(|error| panic!("{operation}: {error}"));
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        if !status.is_success() {
            return Err(format!("{operation}: {status} {}", String::from_utf8_lossy(&body)));
        }
        Ok(serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{operation}: {error}")))
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}
