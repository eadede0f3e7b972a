//! All writes of progress, with their conditions. Pure. The numbers are those of `docs/adr/0010-one-reader.md`.

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_delivery::indices::write_index;
use streamdex_dynamodb::state::{Action, Condition, FORMAT, Item, MOST_OPERATIONS, Operation, SortKey, of_number};
use streamdex_dynamodb::stream::ShardId;
use streamdex_sink::index::KnownIndex;

use super::rows::{sortable, write_generations};
use super::start::write_start;
use super::{Beat, Checkpoint, Generations, StoredLease, StreamStart};
use crate::gap::Gap;
use crate::graph::{KeepDone, ReadFrom};
use crate::lease::Lease;

/// The shared parts of the writes for one stream.
#[derive(Debug, Clone)]
pub struct Writer<'a> {
    /// The label of the stream.
    pub label: &'a str,
    /// Who writes, and in which term.
    pub lease: &'a Lease,
    /// Now, in seconds since 1970 by the service's time.
    pub now: u64,
}

/// The data of a worker that takes the lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimant {
    /// The UUID of its OpenSearch cluster, where it is known.
    pub cluster: Option<String>,
    /// The fingerprint of its routes.
    pub routes: String,
}

/// The largest number of shards in one write of found shards; each one also needs a check that it is not done.
pub const MOST_FOUND: usize = (MOST_OPERATIONS - 1) / 2;
/// The number of a shard's first task in a term.
pub const FIRST_RUN: u64 = 1;

/// The sort key of the lease.
pub fn lease_key() -> String {
    SortKey::Lease.text()
}

/// At this item workers of the earlier design stop, by its name: its format is newer than theirs.
///
/// It is the first write of all. A worker that has not seen it yet has leases for six seconds at most.
pub fn stop_earlier_workers(now: u64) -> Operation {
    let key = SortKey::Worker { worker: "one-reader-for-each-table".to_owned() };
    let item = Item::from([("since".to_owned(), of_number(now)), ("v".to_owned(), of_number(FORMAT + 1))]);
    Operation { sort_key: key.text(), conditions: vec![Condition::Missing], action: Action::Put(item) }
}

/// Write 1: The lease is `lease`'s, if it still is as it was seen.
pub fn take(seen: Option<&StoredLease>, lease: &Lease, claimant: &Claimant, now: u64) -> Operation {
    let beat = seen.map_or(1, |seen| seen.beat.saturating_add(1));
    let fruitless = seen.map_or(1, |seen| seen.fruitless.saturating_add(1));
    let mut set = Item::from([
        ("owner".to_owned(), text(lease.owner.as_str())),
        ("host".to_owned(), text(lease.owner.host())),
        ("term".to_owned(), of_number(lease.term)),
        ("beat".to_owned(), of_number(beat)),
        ("fruitless".to_owned(), of_number(u64::from(fruitless))),
        ("unclean".to_owned(), AttributeValue::Bool(true)),
        ("routes".to_owned(), text(&claimant.routes)),
        ("at".to_owned(), of_number(now)),
        ("since".to_owned(), of_number(now)),
        ("version".to_owned(), text(env!("CARGO_PKG_VERSION"))),
    ]);
    if let Some(cluster) = &claimant.cluster {
        set.insert("cluster".to_owned(), text(cluster));
    }
    let Some(seen) = seen else {
        return Operation { sort_key: lease_key(), conditions: vec![Condition::Missing], action: Action::Put(set) };
    };
    let owner = match &seen.owner {
        Some(owner) => Condition::Is("owner", text(owner.as_str())),
        None => Condition::Lacks("owner"),
    };
    let conditions =
        vec![owner, Condition::Is("term", of_number(seen.term)), Condition::Is("beat", of_number(seen.beat))];
    Operation { sort_key: lease_key(), conditions, action: Action::Update { set, remove: vec!["summary"] } }
}

/// Write 2: A sign of life.
pub fn beat(lease: &Lease, beat: &Beat, now: u64) -> Operation {
    let mut set = Item::from([
        ("beat".to_owned(), of_number(beat.number)),
        ("at".to_owned(), of_number(now)),
        ("summary".to_owned(), text(&beat.summary)),
    ]);
    if let Some(swept) = beat.swept {
        set.insert("swept".to_owned(), of_number(swept));
    }
    if let Some(cluster) = &beat.cluster {
        set.insert("cluster".to_owned(), text(cluster));
    }
    if beat.fruitful {
        set.insert("fruitless".to_owned(), of_number(0));
    }
    Operation { sort_key: lease_key(), conditions: is_mine(lease), action: Action::Update { set, remove: Vec::new() } }
}

/// Write 3: The lease is nobody's. Where requests of the last minute were not answered, it stays unclean.
pub fn release(lease: &Lease, last: &Beat, is_clean: bool, now: u64) -> Operation {
    let Operation { sort_key, conditions, action } = beat(lease, last, now);
    let set = match action {
        Action::Update { set, .. } => set,
        Action::Check | Action::Put(_) | Action::Delete => Item::new(),
    };
    let remove = if is_clean { vec!["owner", "unclean"] } else { vec!["owner"] };
    Operation { sort_key, conditions, action: Action::Update { set, remove } }
}

impl Writer<'_> {
    /// Write 4: A shard was found. Its item is where a later reader finds it, idle or not. A write that is late must not
    /// bring back what is done.
    pub fn found(&self, shard: &ShardId, parent: Option<&ShardId>, generations: &Generations) -> [Operation; 2] {
        let mut item = Item::from([
            ("state".to_owned(), text("open")),
            ("generations".to_owned(), write_generations(generations)),
            ("born".to_owned(), of_number(self.now)),
            ("updated".to_owned(), of_number(self.now)),
        ]);
        if let Some(parent) = parent {
            item.insert("parent".to_owned(), text(parent.as_str()));
        }
        let put = Operation {
            sort_key: self.shard_key(shard),
            conditions: vec![Condition::Missing],
            action: Action::Put(item),
        };
        let conditions = vec![Condition::Missing];
        [put, Operation { sort_key: self.done_key(shard), conditions, action: Action::Check }]
    }

    /// Write 5: This term begins with the shard, at this place. Checkpoints of earlier terms are refused from now on, and those
    /// of earlier runs where a task was started again in this term. It is one transaction with
    /// [`Writer::lease_is_mine`].
    pub fn begin(&self, shard: &ShardId, from: &ReadFrom, run: u64) -> Operation {
        let mut set = Item::from([
            ("term".to_owned(), of_number(self.lease.term)),
            ("owner".to_owned(), text(self.lease.owner.as_str())),
            ("run".to_owned(), of_number(run)),
        ]);
        let remove = match from {
            ReadFrom::After(position) => {
                set.insert("position".to_owned(), text(position.as_str()));
                set.insert("order".to_owned(), text(&sortable(position)));
                Vec::new()
            }
            ReadFrom::Oldest | ReadFrom::Beginning => vec!["position", "order", "created"],
        };
        let mut conditions = vec![Condition::Exists];
        match run {
            FIRST_RUN => conditions.push(Condition::Below("term", of_number(self.lease.term))),
            again => {
                conditions.extend(is_mine(self.lease));
                conditions.push(Condition::Below("run", of_number(again)));
            }
        }
        Operation { sort_key: self.shard_key(shard), conditions, action: Action::Update { set, remove } }
    }

    /// Write 6: Everything up to and including this record is acknowledged.
    pub fn checkpoint(
        &self,
        shard: &ShardId,
        run: u64,
        checkpoint: &Checkpoint,
        generations: &Generations,
    ) -> Operation {
        let order = text(&sortable(&checkpoint.position));
        let mut set = Item::from([
            ("position".to_owned(), text(checkpoint.position.as_str())),
            ("order".to_owned(), order.clone()),
            ("generations".to_owned(), write_generations(generations)),
            ("updated".to_owned(), of_number(self.now)),
        ]);
        if let Some(created) = checkpoint.created {
            set.insert("created".to_owned(), of_number(u64::from(created.seconds())));
        }
        let mut conditions = is_mine(self.lease);
        conditions.extend([Condition::Is("run", of_number(run)), Condition::Below("order", order)]);
        Operation { sort_key: self.shard_key(shard), conditions, action: Action::Update { set, remove: Vec::new() } }
    }

    /// Write 7: The read the shard to its end, and everything is acknowledged. Its children are looked for from now on.
    pub fn drained(&self, shard: &ShardId, run: u64) -> Operation {
        let set = Item::from([("state".to_owned(), text("drained")), ("updated".to_owned(), of_number(self.now))]);
        let mut conditions = is_mine(self.lease);
        conditions.push(Condition::Is("run", of_number(run)));
        Operation { sort_key: self.shard_key(shard), conditions, action: Action::Update { set, remove: Vec::new() } }
    }

    /// Write 9: All children have their items: the shard is done. Its own item goes.
    pub fn done(&self, shard: &ShardId, children: &[ShardId], keep: &KeepDone) -> Vec<Operation> {
        let children = children.iter().map(|child| text(child.as_str())).collect();
        let mut done = Item::from([
            ("updated".to_owned(), of_number(self.now)),
            ("children".to_owned(), AttributeValue::L(children)),
        ]);
        if let Some(parent) = keep.parent() {
            done.insert("parent".to_owned(), text(parent.as_str()));
        }
        if let Some(period) = keep.period() {
            done.insert("expires".to_owned(), of_number(self.now.saturating_add(period.as_secs())));
        }
        let put = Operation { sort_key: self.done_key(shard), conditions: Vec::new(), action: Action::Put(done) };
        let gone = Operation { sort_key: self.shard_key(shard), conditions: Vec::new(), action: Action::Delete };
        vec![self.lease_is_mine(), put, gone]
    }

    /// Write 10: A gap. The same gap twice is one.
    pub fn gap(&self, gap: &Gap) -> Vec<Operation> {
        let kind = gap.kind.name().to_owned();
        let key = SortKey::Gap { label: self.label.to_owned(), kind, subject: gap.subject.clone() };
        let mut item = Item::from([
            ("at".to_owned(), of_number(self.now)),
            ("worker".to_owned(), text(self.lease.owner.as_str())),
        ]);
        for (name, value) in [("position", &gap.position), ("detail", &gap.detail)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), text(value));
            }
        }
        let put = Operation { sort_key: key.text(), conditions: vec![Condition::Missing], action: Action::Put(item) };
        vec![self.lease_is_mine(), put]
    }

    /// Write 10: The UUID of an index that is written to. The first one is kept.
    pub fn index(&self, index: &KnownIndex) -> Vec<Operation> {
        let mut item = write_index(index);
        item.insert("at".to_owned(), of_number(self.now));
        let sort_key = SortKey::Index { concrete: index.concrete.clone() }.text();
        let put = Operation { sort_key, conditions: vec![Condition::Missing], action: Action::Put(item) };
        vec![self.lease_is_mine(), put]
    }

    /// Where the group begins with a stream. The first stored one is kept.
    pub fn pin(&self, start: &StreamStart) -> Vec<Operation> {
        let sort_key = SortKey::Stream { label: self.label.to_owned() }.text();
        let put = Operation { sort_key, conditions: vec![Condition::Missing], action: Action::Put(write_start(start)) };
        vec![self.lease_is_mine(), put]
    }

    /// The lease is this worker's, in this term.
    pub fn lease_is_mine(&self) -> Operation {
        Operation { sort_key: lease_key(), conditions: is_mine(self.lease), action: Action::Check }
    }

    fn done_key(&self, shard: &ShardId) -> String {
        SortKey::Done { label: self.label.to_owned(), shard: shard.as_str().to_owned() }.text()
    }

    pub(super) fn shard_key(&self, shard: &ShardId) -> String {
        SortKey::Shard { label: self.label.to_owned(), shard: shard.as_str().to_owned() }.text()
    }
}

/// Of the lease, and of a shard that was begun: it names this worker and this term.
fn is_mine(lease: &Lease) -> Vec<Condition> {
    vec![Condition::Is("owner", text(lease.owner.as_str())), Condition::Is("term", of_number(lease.term))]
}

/// Whether an item, the lease or a shard, is this worker's in this term.
pub(super) fn names(item: &Item, lease: &Lease) -> bool {
    is_mine(lease).iter().all(|condition| match condition {
        Condition::Is(name, value) => item.get(*name) == Some(value),
        _ => false,
    })
}

pub(super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
