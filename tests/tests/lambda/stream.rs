//! A stream of a table's changes as the service delivers it, with sequence numbers of its form: the emulators' own
//! do not tell two changes of one second apart.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::StreamViewType;
use serde_json::{Value, json};
use streamdex_testkit::event_source::Record;
use streamdex_testkit::workload::{Item, Sessions, StreamRecord};

use crate::lab::{Lab, now, number, session, text};

pub(crate) struct Stream {
    arn: String,
    view: StreamViewType,
    position: u64,
    seconds: u64,
    /// The table as the stream tells it, by the documents' ids.
    pub(crate) items: BTreeMap<String, Item>,
}

impl Stream {
    /// The stream of the lab's table, which begins an hour ago.
    pub(crate) fn new(lab: &Lab, view: StreamViewType) -> Stream {
        let arn = lab.table.stream_arn.clone();
        Stream { arn, view, position: 1_000, seconds: now() - 3_600, items: BTreeMap::new() }
    }

    /// Goes on at this position, so that two streams of one table have no number in common.
    pub(crate) fn at(mut self, position: u64) -> Stream {
        self.position = position;
        self
    }

    /// The item is written over what was there.
    pub(crate) fn put(&mut self, item: Item) -> Record {
        let old = self.items.insert(id(&item), item.clone());
        let name = if old.is_some() { "MODIFY" } else { "INSERT" };
        self.record(name, old, Some(item))
    }

    /// Puts small items under that many keys, each with what is written about it.
    pub(crate) fn put_small(&mut self, count: u32, note: &str) -> Vec<Record> {
        (0..count).map(|place| self.put(small(place, note))).collect()
    }

    /// The item is deleted; it must be there.
    pub(crate) fn remove(&mut self, key: &Item) -> Record {
        let old = self.items.remove(&id(key));
        assert!(old.is_some(), "a delete of nothing gives no record");
        self.record("REMOVE", old, None)
    }

    /// Whether there is an item with this key.
    pub(crate) fn holds(&self, key: &Item) -> bool {
        self.items.contains_key(&id(key))
    }

    /// The item is deleted because its time has passed.
    pub(crate) fn expire(&mut self, key: &Item) -> Record {
        let mut record = self.remove(key);
        let mut value: Value = serde_json::from_str(&record.json).unwrap();
        value["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
        record.json = value.to_string();
        record
    }

    /// Time passes: the next changes happen later.
    pub(crate) fn later(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    /// The creation time of the next change.
    pub(crate) fn time(&self) -> u64 {
        self.seconds
    }

    fn record(&mut self, event_name: &'static str, old: Option<Item>, new: Option<Item>) -> Record {
        self.position += 1;
        let item = id(old.as_ref().or(new.as_ref()).unwrap());
        let record = StreamRecord { event_name, seconds: self.seconds, position: self.position, old, new };
        let mut value: Value = serde_json::from_str(&record.to_json()).unwrap();
        value["eventSourceARN"] = self.arn.clone().into();
        value["dynamodb"]["StreamViewType"] = self.view.as_str().into();
        let images: &[&str] = match self.view {
            StreamViewType::KeysOnly => &["OldImage", "NewImage"],
            StreamViewType::OldImage => &["NewImage"],
            StreamViewType::NewImage => &["OldImage"],
            _ => &[],
        };
        for image in images {
            value["dynamodb"].as_object_mut().unwrap().remove(*image);
        }
        let sequence = value["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
        Record { sequence, item, json: value.to_string() }
    }
}

/// An event of these records.
pub(crate) fn event(records: &[Record]) -> String {
    let records: Vec<String> = records.iter().map(|record| record.json.clone()).collect();
    crate::lab::event::event(&records)
}

/// The record with something else in its place, as a broken writer or reader leaves it.
pub(crate) fn altered(record: &Record, from: &str, to: &str) -> Record {
    assert!(record.json.contains(from), "{from} is not in {}", record.json);
    Record { json: record.json.replacen(from, to, 1), ..record.clone() }
}

pub(crate) fn id(item: &Item) -> String {
    session(item).unwrap().id
}

/// An item of few bytes.
pub(crate) fn small(place: u32, note: &str) -> Item {
    let mut item = Sessions::key_of(place, 1);
    item.insert("place".to_owned(), number(&place.to_string()));
    item.insert("note".to_owned(), text(note));
    item
}
