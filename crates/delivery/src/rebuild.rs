//! The progress of a rebuild: one record for each table. It names the group whose index searches see, and the group
//! that fills the next generation. Each write names its predecessor.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use streamdex_dynamodb::state::{
    Action, Answer, Condition, Item, Operation, Partition, SortKey, StateError, StatePartition, StateTable,
    check_format, number, of_number, text,
};
use streamdex_sink::index::generations::{Absent, Shown};
use streamdex_sink::index::{OwnerUnknown, ReaderAliases};

use crate::backfill::Stored;

/// The progress of a rebuild. Times are seconds since 1970, by the service's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct RebuildRecord {
    /// What is to be done next.
    pub phase: RebuildPhase,
    /// Grows with each write. A later rebuild begins with a larger one.
    pub beat: u64,
    /// When it was begun.
    pub began: u64,
    /// When this was written.
    pub at: u64,
    /// The group that writes what searches saw before.
    pub from: String,
    /// The group that fills the next generation.
    pub to: String,
    /// What searches saw, and what they are to see, by the text of the route.
    pub indices: BTreeMap<String, Rebuilt>,
}

/// The indices that one text of the routes gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// What searches saw before.
    pub from: Shown,
    /// What they are to see.
    pub to: Shown,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildPhase {
    /// The next generation is filled, and compared with the table.
    Filling,
    /// It was compared, and is equal: the aliases can move.
    Equal,
    /// The aliases are on their way to it: the group that fills it makes them from here on.
    Moving,
    /// Searches see it.
    Moved,
    /// The aliases are on their way back: the earlier group makes them again.
    Returning,
    /// Searches see what they saw before.
    Returned,
    /// The next generation, and the state of its group, are being deleted.
    Aborting,
}

/// Where the record of one table is.
#[async_trait]
pub trait RebuildStore: Send + Sync {
    /// The record as it is; `None` where there is none.
    async fn load(&self) -> Result<Option<RebuildRecord>, StateError>;
    /// Stores `record` if the stored one has the beat `follows`; with `None`, if there is none.
    async fn store(&self, record: &RebuildRecord, follows: Option<u64>) -> Result<Stored, StateError>;
    /// Removes the record that has this beat.
    async fn remove(&self, beat: u64) -> Result<Stored, StateError>;
}

/// The record in the state table.
#[derive(Debug, Clone)]
pub struct StoredRebuild(StatePartition);

/// Finds the group that manages the search aliases, from the records of rebuilds.
#[derive(Debug, Clone)]
pub struct StoredReaders(StateTable);

// === impl RebuildPhase ===

impl RebuildPhase {
    const ALL: [RebuildPhase; 7] = [
        RebuildPhase::Filling,
        RebuildPhase::Equal,
        RebuildPhase::Moving,
        RebuildPhase::Moved,
        RebuildPhase::Returning,
        RebuildPhase::Returned,
        RebuildPhase::Aborting,
    ];

    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            RebuildPhase::Filling => "filling",
            RebuildPhase::Equal => "equal",
            RebuildPhase::Moving => "moving",
            RebuildPhase::Moved => "moved",
            RebuildPhase::Returning => "returning",
            RebuildPhase::Returned => "returned",
            RebuildPhase::Aborting => "aborting",
        }
    }

    /// Whether another rebuild may begin: searches have moved.
    pub fn is_over(self) -> bool {
        self == RebuildPhase::Moved
    }

    /// Whether searches are to see the next generation.
    pub fn shows_next(self) -> bool {
        matches!(self, RebuildPhase::Moving | RebuildPhase::Moved)
    }
}

// === impl RebuildRecord ===

impl RebuildRecord {
    /// The group that makes the search aliases.
    pub fn owner(&self) -> &str {
        if self.phase.shows_next() { &self.to } else { &self.from }
    }

    /// What searches are to see.
    pub fn shown(&self) -> BTreeMap<String, Shown> {
        let shown = |rebuilt: &Rebuilt| if self.phase.shows_next() { rebuilt.to.clone() } else { rebuilt.from.clone() };
        self.indices.iter().map(|(text, rebuilt)| (text.clone(), shown(rebuilt))).collect()
    }

    /// Whether `group` manages the search aliases of the table. A group that is not in the record is not affected.
    pub fn is_owner(&self, group: &str) -> bool {
        self.owner() == group || ![&self.from, &self.to].into_iter().any(|known| known == group)
    }

    /// The treatment of a name without the generation that searches must see.
    pub fn absent(&self) -> Absent {
        if self.phase.shows_next() { Absent::Keep } else { Absent::Hide }
    }

    /// The same in the next phase.
    #[must_use]
    pub fn in_phase(&self, phase: RebuildPhase, now: u64) -> RebuildRecord {
        RebuildRecord { phase, beat: self.beat + 1, at: now, ..self.clone() }
    }

    /// From an item of the state table; `None` where it cannot be read.
    pub fn read(item: &Item) -> Option<RebuildRecord> {
        let phase = text(item, "phase")?;
        let indices = item.get("indices")?.as_m().ok()?.iter();
        let read = |(text, rebuilt): (&String, &AttributeValue)| {
            let rebuilt = rebuilt.as_m().ok()?;
            let shown = |name: &str| serde_json::from_str(rebuilt.get(name)?.as_s().ok()?).ok();
            Some((text.clone(), Rebuilt { from: shown("from")?, to: shown("to")? }))
        };
        Some(RebuildRecord {
            phase: RebuildPhase::ALL.into_iter().find(|known| known.name() == phase)?,
            beat: number(item, "beat")?,
            began: number(item, "began")?,
            at: number(item, "at")?,
            from: text(item, "from")?.to_owned(),
            to: text(item, "to")?.to_owned(),
            indices: indices.map(read).collect::<Option<_>>()?,
        })
    }

    /// Its own attributes, without its key.
    fn attributes(&self) -> Item {
        let word = |word: &str| AttributeValue::S(word.to_owned());
        // Numbers, texts and maps of them always serialise.
        let shown = |shown: &Shown| AttributeValue::S(serde_json::to_string(shown).unwrap_or_default());
        let rebuilt = |rebuilt: &Rebuilt| {
            let sides = [("from", &rebuilt.from), ("to", &rebuilt.to)];
            AttributeValue::M(sides.into_iter().map(|(side, what)| (side.to_owned(), shown(what))).collect())
        };
        let indices = self.indices.iter().map(|(text, index)| (text.clone(), rebuilt(index))).collect();
        Item::from([
            ("phase".to_owned(), word(self.phase.name())),
            ("beat".to_owned(), of_number(self.beat)),
            ("began".to_owned(), of_number(self.began)),
            ("at".to_owned(), of_number(self.at)),
            ("from".to_owned(), word(&self.from)),
            ("to".to_owned(), word(&self.to)),
            ("indices".to_owned(), AttributeValue::M(indices)),
        ])
    }

    /// Stores the record if the stored one has the beat `follows`; with `None`, if there is none.
    pub fn put(&self, follows: Option<u64>) -> Operation {
        let condition = follows.map_or(Condition::Missing, has_beat);
        operation(condition, Action::Put(self.attributes()))
    }
}

fn operation(condition: Condition, action: Action) -> Operation {
    Operation { sort_key: SortKey::Rebuild.text(), conditions: vec![condition], action }
}

fn has_beat(beat: u64) -> Condition {
    Condition::Is("beat", of_number(beat))
}

// === impl StoredRebuild ===

impl StoredRebuild {
    /// The record about `table`, whatever the group of `state`.
    pub fn new(state: StateTable, table: &str) -> StoredRebuild {
        StoredRebuild(StatePartition::new(state, Partition::Rebuild { table }.key()))
    }
}

#[async_trait]
impl RebuildStore for StoredRebuild {
    async fn load(&self) -> Result<Option<RebuildRecord>, StateError> {
        let key = SortKey::Rebuild.text();
        let Some(item) = self.0.get(&key).await? else { return Ok(None) };
        check_format(&item, &key)?;
        // What is there and cannot be read is not absent.
        RebuildRecord::read(&item).map(Some).ok_or(StateError::Malformed { key })
    }

    async fn store(&self, record: &RebuildRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        let written = self.0.write(&[record.put(follows)]).await?;
        Ok(Stored::of(&written.answer, |found| RebuildRecord::read(found).as_ref() == Some(record)))
    }

    async fn remove(&self, beat: u64) -> Result<Stored, StateError> {
        let Answer::Refused(refused) = self.0.write(&[operation(has_beat(beat), Action::Delete)]).await?.answer else {
            return Ok(Stored::Stored);
        };
        let is_gone = refused.first().is_some_and(|refusal| refusal.found.is_none());
        Ok(if is_gone { Stored::Stored } else { Stored::Refused })
    }
}

// === impl StoredReaders ===

impl StoredReaders {
    /// What is recorded for the group of `state`.
    pub fn new(state: StateTable) -> StoredReaders {
        StoredReaders(state)
    }
}

#[async_trait]
impl ReaderAliases for StoredReaders {
    async fn are_ours(&self, table_arn: &str) -> Result<bool, OwnerUnknown> {
        let loaded = StoredRebuild::new(self.0.clone(), table_arn).load().await;
        let record = loaded.map_err(|error| OwnerUnknown {
            reason: error.to_string(),
            passes: error.aws().is_some_and(|aws| aws.fault().passes_by_itself()),
        })?;
        Ok(record.is_none_or(|record| record.is_owner(self.0.group())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use streamdex_dynamodb::state::apply;

    use super::*;

    fn record() -> RebuildRecord {
        let shown = |generation| Shown {
            generation,
            aliases: BTreeMap::from([(String::new(), json!({})), ("-live".to_owned(), json!({"filter": {"a": 1}}))]),
            names: BTreeMap::from([("s-eu".to_owned(), BTreeMap::new())]),
        };
        RebuildRecord {
            phase: RebuildPhase::Filling,
            beat: 7,
            began: 7,
            at: 7,
            from: "default".into(),
            to: "blue".into(),
            indices: BTreeMap::from([("s-{r}".to_owned(), Rebuilt { from: shown(1), to: shown(2) })]),
        }
    }

    #[test]
    fn what_is_stored_is_read_and_what_follows_something_else_is_refused() {
        let mut items = BTreeMap::new();
        let mut write = |operation: Operation| apply(&mut items, "p", &[operation]);
        assert_eq!(write(record().put(None)), Answer::Stored);
        let equal = record().in_phase(RebuildPhase::Equal, 9);
        assert_eq!((equal.beat, equal.at), (8, 9));
        assert_eq!(write(equal.put(Some(7))), Answer::Stored);
        let Answer::Refused(refused) = write(record().put(Some(7))) else { panic!("it is late") };
        assert_eq!(refused[0].found.as_ref().and_then(RebuildRecord::read), Some(equal));
        assert!(matches!(write(operation(has_beat(7), Action::Delete)), Answer::Refused(_)));
        for phase in RebuildPhase::ALL {
            let record = record().in_phase(phase, 9);
            assert_eq!(RebuildRecord::read(&record.attributes()), Some(record));
        }
        for name in ["phase", "beat", "from", "indices"] {
            let mut item = record().attributes();
            item.insert(name.to_owned(), AttributeValue::Bool(true));
            assert_eq!(RebuildRecord::read(&item), None, "{name}");
        }
    }

    #[test]
    fn n1_one_of_the_two_groups_makes_the_aliases() {
        for phase in RebuildPhase::ALL {
            let record = record().in_phase(phase, 9);
            let owner = if phase.shows_next() { "blue" } else { "default" };
            for group in ["blue", "default"] {
                assert_eq!(record.is_owner(group), group == owner, "{phase:?}");
            }
            assert!(record.is_owner("third"));
            let generation = if phase.shows_next() { 2 } else { 1 };
            assert_eq!(record.shown()["s-{r}"].generation, generation);
        }
    }
}
