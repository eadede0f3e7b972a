//! What a seed does: how the mapping is configured, and how the table changes.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use fastrand::Rng;
use streamdex_testkit::event_source::{Record, Settings};
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY};

use crate::lab::{number, text};
use crate::lambda::stream::{Stream, id};

/// Whether documents move between indices, which takes old images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Staying,
    Moving,
}

pub(super) fn kind_of(seed: u64) -> Kind {
    if seed % 4 == 3 { Kind::Staying } else { Kind::Moving }
}

/// Names the index of an item that may move: the end of its name.
pub(super) const HOME: &str = "home";
/// The index that all seeds have in common.
pub(super) const COMMON: &str = "common";
/// An item that has it is in no index.
pub(super) const HIDDEN: &str = "hidden";

/// One seed.
pub(super) struct Plan {
    pub(super) random: Rng,
    /// The partition key of all its items, and the end of its index's name.
    pub(super) partition: String,
    pub(super) view: StreamViewType,
    pub(super) settings: Settings,
    pub(super) sandboxes: usize,
    kind: Kind,
    items: u32,
    count: u32,
}

/// A change of the table, and its record.
pub(super) struct Change {
    pub(super) shard: &'static str,
    pub(super) record: Record,
    /// Whether the record, or the item, can never be indexed.
    pub(super) is_poison: bool,
}

/// Roots and children: the items of a root go on in its child.
pub(super) const SHARDS: [(&str, Option<&str>); 4] =
    [("shard-1", None), ("shard-2", None), ("shard-1-child", Some("shard-1")), ("shard-2-child", Some("shard-2"))];

/// The table changes in so many rounds.
pub(super) const ROUNDS: u32 = 3;

impl Plan {
    pub(super) fn new(seed: u64) -> Plan {
        let mut random = Rng::with_seed(seed);
        let view = match (kind_of(seed), random.u8(0..4)) {
            (Kind::Staying, 0..2) => StreamViewType::KeysOnly,
            (Kind::Staying, _) => StreamViewType::NewImage,
            (Kind::Moving, 0) => StreamViewType::OldImage,
            (Kind::Moving, _) => StreamViewType::NewAndOldImages,
        };
        let settings = Settings {
            batch_size: random.usize(3..30),
            parallelization_factor: random.usize(1..4),
            bisect_on_error: random.bool(),
            maximum_retry_attempts: Some(random.u32(0..3)),
            lost_answers: 8,
            ..Settings::default()
        };
        let (items, count, sandboxes) = (random.u32(3..12), random.u32(5..25), random.usize(1..3));
        Plan { random, partition: format!("s{seed}"), view, settings, sandboxes, kind: kind_of(seed), items, count }
    }

    /// The changes of one round.
    pub(super) fn round(&mut self, round: u32, stream: &mut Stream) -> Vec<Change> {
        (0..self.count).map(|change| self.change(round, change, stream)).collect()
    }

    /// A change that nothing is wrong with.
    pub(super) fn first(&mut self, stream: &mut Stream) -> Change {
        let item = self.item(0, "the first");
        Change { shard: SHARDS[0].0, record: stream.put(item), is_poison: false }
    }

    fn change(&mut self, round: u32, change: u32, stream: &mut Stream) -> Change {
        stream.later(u64::from(self.random.bool()));
        let place = self.random.u32(0..self.items);
        let shard = SHARDS[(place % 2 + if round == 0 { 0 } else { 2 }) as usize].0;
        let mut item = self.item(place, &format!("round {round} change {change}"));
        if stream.items.contains_key(&id(&item)) && self.random.u8(0..4) == 0 {
            return Change { shard, record: stream.remove(&item), is_poison: false };
        }
        match self.random.u8(0..40) {
            0 => {
                // OpenSearch refuses it.
                item.insert("mixed".to_owned(), mixed());
                Change { shard, record: stream.put(item), is_poison: true }
            }
            1 => {
                // The record cannot be read, where it has an image. Nothing of it is done, so it must not move.
                if let Some(before) = stream.items.get(&id(&item)) {
                    for name in [HOME, HIDDEN] {
                        item.remove(name);
                        item.extend(before.get(name).map(|value| (name.to_owned(), value.clone())));
                    }
                }
                let mut record = stream.put(item);
                let broken = record.json.replacen(r#""note":{"S":"#, r#""note":{"X":"#, 1);
                let is_poison = broken != record.json;
                record.json = broken;
                Change { shard, record, is_poison }
            }
            _ => Change { shard, record: stream.put(item), is_poison: false },
        }
    }

    fn item(&mut self, place: u32, note: &str) -> Item {
        let mut item = BTreeMap::from([
            (PARTITION_KEY.to_owned(), text(&self.partition)),
            (SORT_KEY.to_owned(), text(&format!("item {place}"))),
            ("place".to_owned(), number(&place.to_string())),
            ("note".to_owned(), text(note)),
        ]);
        if self.kind == Kind::Moving {
            let home = if self.random.u8(0..4) == 0 { COMMON } else { &self.partition };
            item.insert(HOME.to_owned(), text(home));
            if self.random.u8(0..8) == 0 {
                item.insert(HIDDEN.to_owned(), AttributeValue::Bool(true));
            }
        }
        item
    }
}

fn mixed() -> AttributeValue {
    AttributeValue::L(vec![number("1"), AttributeValue::M([("a".to_owned(), number("1"))].into())])
}
