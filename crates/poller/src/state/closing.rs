//! Writes that close gaps: pure. Each goes in one transaction with [`interrupt`]: whoever reads the table stops, and the
//! next term begins with what is stored here.

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_dynamodb::state::{Action, Condition, Item, Operation, SortKey, of_number};
use streamdex_dynamodb::stream::ShardId;

use super::rows::write_generations;
use super::start::write_start;
use super::writes::{lease_key, text};
use super::{Generations, StoredGap, StoredLease, StreamStart};
use crate::lease::WorkerId;

/// The shared parts of the writes that close gaps.
#[derive(Debug, Clone)]
pub struct Closing<'a> {
    /// The label of the stream that is followed.
    pub label: &'a str,
    /// Now, in seconds since 1970 by the service's time.
    pub now: u64,
    /// The generation of each index.
    pub generations: &'a Generations,
}

/// The term ends. Where somebody has the lease, the command takes it and never beats, so that it expires: the earlier
/// reader is surely gone when the next one begins. A lease that somebody has is unclean already.
pub fn interrupt(seen: &StoredLease, command: &WorkerId, now: u64) -> Operation {
    let mut set = Item::from([
        ("term".to_owned(), of_number(seen.term.saturating_add(1))),
        ("beat".to_owned(), of_number(seen.beat.saturating_add(1))),
        ("at".to_owned(), of_number(now)),
    ]);
    let owner = match &seen.owner {
        Some(owner) => {
            set.insert("owner".to_owned(), text(command.as_str()));
            Condition::Is("owner", text(owner.as_str()))
        }
        None => Condition::Lacks("owner"),
    };
    let conditions = vec![owner, Condition::Is("term", of_number(seen.term))];
    Operation { sort_key: lease_key(), conditions, action: Action::Update { set, remove: vec!["summary"] } }
}

/// The lease as [`interrupt`] leaves it.
pub fn interrupted(seen: StoredLease, command: &WorkerId) -> StoredLease {
    StoredLease {
        term: seen.term.saturating_add(1),
        beat: seen.beat.saturating_add(1),
        owner: seen.owner.as_ref().map(|_| command.clone()),
        ..seen
    }
}

impl Closing<'_> {
    /// The gap is closed, by one command: what another one has stored since then is not undone.
    pub fn closed(&self, gap: &StoredGap) -> Operation {
        let StoredGap { label, gap } = gap;
        let (kind, subject) = (gap.kind.name().to_owned(), gap.subject.clone());
        let key = SortKey::Gap { label: label.clone(), kind, subject };
        Operation { conditions: vec![Condition::Exists], ..unconditional(key, Action::Delete) }
    }

    /// The shard is read from its oldest record on, whatever is missing before that. Its item names no term: what an
    /// earlier reader still writes about it is refused.
    pub fn resume(&self, shard: &ShardId, parent: Option<&ShardId>) -> Operation {
        let mut item = Item::from([
            ("state".to_owned(), text("open")),
            ("resume".to_owned(), text("oldest")),
            ("generations".to_owned(), write_generations(self.generations)),
            ("born".to_owned(), of_number(self.now)),
            ("updated".to_owned(), of_number(self.now)),
        ]);
        if let Some(parent) = parent {
            item.insert("parent".to_owned(), text(parent.as_str()));
        }
        unconditional(self.shard_key(shard), Action::Put(item))
    }

    /// As [`Closing::resume`], of a shard that nobody knew.
    pub fn resume_unknown(&self, shard: &ShardId, parent: Option<&ShardId>) -> Operation {
        Operation { conditions: vec![Condition::Missing], ..self.resume(shard, parent) }
    }

    /// The shard is gone. Nothing is left to do about it but to go on with its children.
    pub fn gone(&self, shard: &ShardId, children: &[&ShardId]) -> [Operation; 2] {
        let children = children.iter().map(|child| text(child.as_str())).collect();
        // It does not expire: a shard that a group began with is asked for in every term.
        let done = Item::from([
            ("updated".to_owned(), of_number(self.now)),
            ("children".to_owned(), AttributeValue::L(children)),
        ]);
        let key = SortKey::Done { label: self.label.to_owned(), shard: shard.as_str().to_owned() };
        [unconditional(key, Action::Put(done)), unconditional(self.shard_key(shard), Action::Delete)]
    }

    /// The item of a shard, and what says that it is done, are forgotten.
    pub fn forget_shard(&self, shard: &ShardId) -> [Operation; 2] {
        let done = SortKey::Done { label: self.label.to_owned(), shard: shard.as_str().to_owned() };
        [unconditional(self.shard_key(shard), Action::Delete), unconditional(done, Action::Delete)]
    }

    /// The UUID of the index is forgotten: whatever has its name now is written to.
    pub fn forget_index(&self, concrete: &str) -> Operation {
        unconditional(SortKey::Index { concrete: concrete.to_owned() }, Action::Delete)
    }

    /// Pins the place from which the group continues with the stream.
    pub fn pin(&self, start: &StreamStart) -> Operation {
        let start = StreamStart { resumes: true, ..start.clone() };
        unconditional(SortKey::Stream { label: self.label.to_owned() }, Action::Put(write_start(&start)))
    }

    fn shard_key(&self, shard: &ShardId) -> SortKey {
        SortKey::Shard { label: self.label.to_owned(), shard: shard.as_str().to_owned() }
    }
}

/// The condition is the one on the lease, in the same transaction.
fn unconditional(key: SortKey, action: Action) -> Operation {
    Operation { sort_key: key.text(), conditions: Vec::new(), action }
}
