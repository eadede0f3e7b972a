//! A DynamoDB table and its streams, as the service keeps them.

mod habits;
mod item;
mod listing;
mod partition;
mod shard;
mod source;
mod torn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::{CreationTime, ExternalVersion, SequenceNumber};

pub(super) use self::habits::{Lies, StreamHabits};
pub(super) use self::item::{Item, KEY, KIND, POISON, TEXT};
pub(super) use self::shard::{Entry, Shard};
pub(super) use self::source::{SimulatedItems, SimulatedStream};
use self::torn::Torn;
use super::dice::{Dice, hash};
use super::time::{HOUR, MINUTE, VirtualTime};

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    time: VirtualTime,
    dice: Dice,
    images: Images,
    pub(super) items: BTreeMap<String, Item>,
    partitions: Vec<Partition>,
    pub(super) streams: Vec<Stream>,
    serial: u64,
    /// When a group began.
    followed_from: Option<u64>,
    habits: StreamHabits,
    /// Shards that a listing has left out before a group began.
    left_out: BTreeSet<String>,
    /// Keys that were written while the stream was off.
    pub(super) unrecorded: Vec<String>,
    /// Where a record is, by its sequence number: stream, shard, index.
    places: BTreeMap<String, (usize, String, usize)>,
    /// The shard of each version of each document.
    versions: BTreeMap<(String, u64), String>,
    /// The last record of each key.
    pub(super) latest: BTreeMap<String, Latest>,
    pub(super) torn: Torn,
}

/// A part of the table, with the shard that it writes to.
#[derive(Debug)]
struct Partition {
    range: (u64, u64),
    /// Grows by one with each change.
    counter: u64,
    shard: Option<String>,
    /// A part made by a split takes no change before this second, in which its parent may have had its last one.
    not_before: u64,
    /// The second of the split, where it takes changes in it.
    torn: Option<u64>,
}

/// The last record of a key.
#[derive(Debug)]
pub(super) struct Latest {
    pub(super) version: u64,
    pub(super) visible_from: u64,
    pub(super) shard: String,
}

/// What records carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    NewAndOld,
    KeysOnly,
}

/// A stream: switched off, it can be read on for 24 hours.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) arn: String,
    pub(super) shards: BTreeMap<String, Shard>,
    pub(super) enabled: bool,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Put(&'static str),
    Remove,
}

pub(super) const TABLE_ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
const RETENTION: u64 = 24 * HOUR;

impl Table {
    pub(super) fn new(time: VirtualTime, seed: u64, images: Images, partitions: u64, habits: StreamHabits) -> Table {
        let mut table = Table {
            time,
            dice: Dice::new(seed, "table"),
            images,
            items: BTreeMap::new(),
            partitions: Vec::new(),
            streams: Vec::new(),
            serial: 0,
            followed_from: None,
            habits,
            left_out: BTreeSet::new(),
            unrecorded: Vec::new(),
            places: BTreeMap::new(),
            versions: BTreeMap::new(),
            latest: BTreeMap::new(),
            torn: Torn::default(),
        };
        let width = u64::MAX / partitions;
        for number in 0..partitions {
            let last = if number + 1 == partitions { u64::MAX } else { (number + 1) * width - 1 };
            let counter = table.dice.within(1..=1_000_000_000_000);
            table.partitions.push(Partition {
                range: (number * width, last),
                counter,
                shard: None,
                not_before: 0,
                torn: None,
            });
        }
        table.enable();
        table
    }

    /// Holds items that are in no stream.
    pub(super) fn hold(&mut self, keys: impl Iterator<Item = String>) {
        for key in keys {
            self.serial += 1;
            let kind = ["a", "a", "b", "none"][self.dice.index(4)];
            self.items.insert(key, Item { kind, serial: self.serial, text: "before".to_owned() });
        }
    }

    // --- what the table does ---

    /// Writes, unless this second is not to be written in.
    pub(super) fn write(&mut self, key: &str, change: Change) {
        self.write_back(key, change, 0);
    }

    /// Writes, and the record says a time that lies so many seconds before the last record of the item, if that was
    /// written in this instant to the same shard: the two are never parted by the end of a page.
    pub(super) fn write_back(&mut self, key: &str, change: Change, back: u64) {
        let (now, seconds) = (self.time.millis(), self.time.seconds());
        let hash = hash(0, key);
        let Some(place) = self.partitions.iter().position(|part| part.range.0 <= hash && hash <= part.range.1) else {
            return;
        };
        if seconds < self.partitions[place].not_before {
            return;
        }
        let old = self.items.get(key).cloned();
        let new = match change {
            Change::Remove => None,
            Change::Put(kind) => {
                self.serial += 1;
                let length = self.dice.index(40);
                let is_poison = self.habits.poison > 0 && kind != "none" && self.dice.chance(self.habits.poison);
                let text = if is_poison { POISON.to_owned() } else { "x".repeat(length) };
                Some(Item { kind, serial: self.serial, text })
            }
        };
        if old.is_none() && new.is_none() {
            // Nothing changes, so there is no record.
            return;
        }
        match &new {
            Some(item) => self.items.insert(key.to_owned(), item.clone()),
            None => self.items.remove(key),
        };
        let begins = self.partitions[place].torn == Some(seconds);
        self.torn.note(key, seconds, (old.as_ref(), new.as_ref()), begins);
        self.partitions[place].counter += 1;
        let counter = self.partitions[place].counter;
        let Some(shard) = self.partitions[place].shard.clone() else {
            self.unrecorded.push(key.to_owned());
            return;
        };
        let sequence = format!("{counter}{:020}", self.dice.within(0..=9_999_999_999_999_999_999));
        let last = self.shard(&shard).and_then(|shard| shard.records.last());
        let is_after_its_own = last.is_some_and(|entry| entry.key == key && entry.created == now);
        let back = if is_after_its_own { back } else { 0 };
        let images = (old.as_ref(), new.as_ref());
        let record = record(self.images, key, (&sequence, self.habits.record_bytes), seconds - back, images);
        let is_poison = new.as_ref().is_some_and(Item::is_poison);
        self.append((&shard, key), sequence, (record, is_poison), (now, seconds, back));
    }

    /// Whether a key belongs to this partition.
    pub(super) fn is_in(&self, key: &str, which: usize) -> bool {
        let (first, last) = self.partitions[which % self.partitions.len()].range;
        let hash = hash(0, key);
        first <= hash && hash <= last
    }

    fn append(
        &mut self,
        (shard, key): (&str, &str),
        sequence: String,
        (record, is_poison): (Arc<str>, bool),
        (now, seconds, back): (u64, u64, u64),
    ) {
        let number = self.streams.len() - 1;
        let delay = if self.dice.chance(90) { self.dice.within(5..=80) } else { self.dice.within(80..=900) };
        let stream = &mut self.streams[number];
        let Some(shard) = stream.shards.get_mut(shard) else { return };
        let earlier = shard.records.last().map_or(0, |entry| entry.visible_from);
        let created = CreationTime::from_seconds(u32::try_from(seconds).unwrap_or(u32::MAX));
        let version = ExternalVersion::of_change(created, SequenceNumber::parse(&sequence).ok().as_ref());
        self.places.insert(sequence.clone(), (number, shard.id.clone(), shard.records.len()));
        self.versions.insert((key.to_owned(), version.get()), shard.id.clone());
        let visible_from = if back > 0 { earlier } else { earlier.max(now + delay) };
        self.latest.insert(key.to_owned(), Latest { version: version.get(), visible_from, shard: shard.id.clone() });
        shard.records.push(Entry {
            order: sequence.parse().unwrap_or_default(),
            sequence,
            created: now,
            created_seconds: seconds - back,
            visible_from,
            joined: back > 0,
            key: key.to_owned(),
            record,
            bytes: self.habits.record_bytes,
            is_poison,
            acknowledged: false,
            exempt: false,
        });
    }

    pub(super) fn trim(&mut self) {
        let oldest = self.time.millis().saturating_sub(RETENTION);
        for shard in self.streams.iter_mut().flat_map(|stream| stream.shards.values_mut()) {
            shard.trim(oldest);
        }
    }

    // --- what the checks ask ---

    /// Whether a group has begun for so long that its first listings are over.
    pub(super) fn is_followed(&self) -> bool {
        self.followed_from.is_some_and(|from| self.time.millis() > from + MINUTE / 2)
    }

    /// Whether a group has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.followed_from.is_some()
    }

    /// The shard that the change with this version of a document was in.
    pub(super) fn shard_of(&self, document: &str, version: u64) -> Option<&str> {
        self.versions.get(&(document.to_owned(), version)).map(String::as_str)
    }

    /// Every record before this moment has its outcome, and can be seen in the index; on the world's clock.
    pub(super) fn settled_up_to(&self) -> u64 {
        let open = self.all_open().map(|entry| entry.created);
        open.min().unwrap_or_else(|| self.time.millis())
    }

    /// Whether a change of this key has no outcome yet.
    pub(super) fn is_on_its_way(&self, key: &str) -> bool {
        self.all_open().any(|entry| entry.key == key)
    }

    fn all_open(&self) -> impl Iterator<Item = &Entry> {
        self.streams.iter().flat_map(|stream| stream.shards.values()).flat_map(Shard::open_records)
    }

    /// Whether OpenSearch refuses the document of this record for ever.
    pub(super) fn is_poison(&self, sequence: &str) -> bool {
        let Some((stream, shard, index)) = self.places.get(sequence) else { return false };
        let shard = self.streams[*stream].shards.get(shard);
        shard.and_then(|shard| shard.records.get(*index)).is_some_and(|entry| entry.is_poison)
    }

    /// Whether OpenSearch refused a document of the item with this key, as DynamoDB JSON.
    pub(super) fn was_poison(&self, keys: &str) -> bool {
        let entries = self.streams.iter().flat_map(|stream| stream.shards.values()).flat_map(|shard| &shard.records);
        let Ok(keys) = serde_json::from_str::<Value>(keys) else { return false };
        entries.filter(|entry| entry.is_poison).any(|entry| keys[KEY]["S"] == entry.key.as_str())
    }

    /// A worker reported an outcome for a record.
    pub(super) fn acknowledge(&mut self, sequence: &str) {
        let Some((stream, shard, index)) = self.places.get(sequence) else { return };
        let shard = self.streams[*stream].shards.get_mut(shard);
        if let Some(entry) = shard.and_then(|shard| shard.records.get_mut(*index)) {
            entry.acknowledged = true;
        }
    }

    pub(super) fn shard(&self, id: &str) -> Option<&Shard> {
        self.streams.iter().find_map(|stream| stream.shards.get(id))
    }

    pub(super) fn shard_mut(&mut self, id: &str) -> Option<&mut Shard> {
        self.streams.iter_mut().find_map(|stream| stream.shards.get_mut(id))
    }

    /// A group begins to follow a stream. Nobody has to read what is gone before, or what is older than its start.
    pub(super) fn begin(&mut self, label: &str, roots: &[ShardId], latest_at: Option<u64>) {
        self.trim();
        let now = self.time.millis();
        let at_the_horizon = now.saturating_sub(23 * HOUR + HOUR / 2);
        for shard in self.streams.iter_mut().flat_map(|stream| stream.shards.values_mut()) {
            shard.may_lose_more = shard.opened < at_the_horizon || roots.iter().any(|root| root.as_str() == shard.id);
        }
        if self.followed_from.is_none() {
            // What came before the first stream of all was not begun by anybody.
            let earlier = self.streams.iter_mut().take_while(|stream| !stream.arn.ends_with(label));
            let records = earlier.flat_map(|stream| stream.shards.values_mut()).flat_map(|shard| &mut shard.records);
            records.for_each(|entry| entry.exempt = true);
            // What was written while a stream was off belongs to the gap behind it.
            if self.streams.iter().any(|stream| stream.arn.ends_with(label) && stream.enabled) {
                self.unrecorded.clear();
            }
        }
        self.followed_from.get_or_insert(now);
        for shard in self.streams.iter_mut().flat_map(|stream| stream.shards.values_mut()) {
            let trimmed = if shard.removed { shard.records.len() } else { shard.trimmed };
            // What a closed shard holds was changed before, in the same second perhaps.
            let is_over = latest_at.is_some() && shard.closed.is_some();
            for (index, entry) in shard.records.iter_mut().enumerate() {
                entry.exempt |= is_over || index < trimmed || latest_at.is_some_and(|at| entry.created_seconds < at);
            }
        }
    }
}

/// A record as GetRecords writes it.
fn record(
    images: Images,
    key: &str,
    (sequence, bytes): (&str, u64),
    seconds: u64,
    (old, new): (Option<&Item>, Option<&Item>),
) -> Arc<str> {
    let event = match (old, new) {
        (None, _) => "INSERT",
        (Some(_), Some(_)) => "MODIFY",
        (Some(_), None) => "REMOVE",
    };
    let mut body = json!({
        "Keys": {KEY: {"S": key}},
        "SequenceNumber": sequence,
        "ApproximateCreationDateTime": seconds,
        "SizeBytes": bytes,
        "StreamViewType": "KEYS_ONLY",
    });
    if images == Images::NewAndOld {
        body["StreamViewType"] = json!("NEW_AND_OLD_IMAGES");
        for (name, item) in [("OldImage", old), ("NewImage", new)] {
            let Some(item) = item else { continue };
            body[name] = item.json(key);
        }
    }
    json!({"eventName": event, "dynamodb": body}).to_string().into()
}
