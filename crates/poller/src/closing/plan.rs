//! The writes that close gaps. Pure.

use std::collections::{BTreeMap, BTreeSet};

use streamdex_dynamodb::state::Operation;
use streamdex_dynamodb::stream::{ListedShard, ShardId};

use crate::gap::GapKind;
use crate::state::closing::Closing;
use crate::state::{Loaded, StoredGap, StreamStart};

/// What the stream holds.
#[derive(Debug, Default)]
pub(super) struct InStream {
    pub(super) listed: Vec<ListedShard>,
    /// Shards that the service does not know any more.
    pub(super) gone: BTreeSet<ShardId>,
    /// Where to begin with the stream, if the group has not.
    pub(super) start: Option<StreamStart>,
}

/// Closes gaps of what was loaded.
pub(super) struct Plan<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) done: &'a BTreeSet<ShardId>,
    pub(super) stream: &'a InStream,
    pub(super) closing: Closing<'a>,
}

/// Every gap of a group on a table, while the stream `label` is followed.
pub(super) fn stored_gaps(loaded: &Loaded, label: &str) -> Vec<StoredGap> {
    let of_this = loaded.gaps.iter().map(|gap| StoredGap { label: label.to_owned(), gap: gap.clone() });
    of_this.chain(loaded.earlier_gaps.iter().cloned()).collect()
}

/// The shards of the stream `label` that these gaps are about.
pub(super) fn shards(gaps: &[StoredGap], label: &str) -> Vec<ShardId> {
    let of_shards = gaps.iter().filter(|gap| gap.label == label && gap.gap.kind.concerns_a_shard());
    of_shards.map(|gap| ShardId::new(gap.gap.subject.as_str())).collect()
}

/// Whether the group must begin with the stream `label`, as if for the first time.
pub(super) fn wants_a_start(gaps: &[StoredGap], loaded: &Loaded, label: &str) -> bool {
    let of_stream = |gap: &StoredGap| gap.gap.kind.concerns_the_stream();
    gaps.iter().any(|gap| is_lost(gap, label)) || (loaded.start.is_none() && gaps.iter().any(of_stream))
}

/// The state of the stream is useless: it was created after the loss of the state.
fn is_lost(gap: &StoredGap, label: &str) -> bool {
    gap.gap.kind == GapKind::StateLost && gap.label == label
}

/// Joins units up to `most` operations; none is torn. A transaction takes one operation on an item, and two gaps can ask for
/// the same one, as where reading goes on.
pub(super) fn batches(units: Vec<Vec<Operation>>, most: usize) -> Vec<Vec<Operation>> {
    let mut batches: Vec<Vec<Operation>> = Vec::new();
    for mut unit in units {
        let Some(batch) = batches.last_mut() else {
            batches.push(unit);
            continue;
        };
        let is_there = |operation: &Operation| batch.contains(operation);
        let is_other = |operation: &Operation| {
            !is_there(operation) && batch.iter().any(|other| other.sort_key == operation.sort_key)
        };
        if unit.iter().any(is_other) || batch.len() + unit.iter().filter(|one| !is_there(one)).count() > most {
            batches.push(unit);
            continue;
        }
        unit.retain(|operation| !is_there(operation));
        batch.extend(unit);
    }
    batches
}

impl Plan<'_> {
    /// What is written, unit by unit, in this order: places to go on from come before the gaps are closed.
    pub(super) fn units(&self, gaps: &[StoredGap]) -> Vec<Vec<Operation>> {
        let mut units = Vec::new();
        if gaps.iter().any(|gap| is_lost(gap, self.closing.label)) {
            let shards = self.loaded.shards.iter().map(|shard| &shard.id).chain(self.done);
            units.extend(shards.map(|shard| self.closing.forget_shard(shard).into()));
        }
        if shards(gaps, self.closing.label).iter().any(|shard| self.stream.gone.contains(shard)) {
            let heirs = self.heirs();
            units.extend(heirs.map(|heir| vec![self.closing.resume_unknown(&heir.id, heir.parent.as_ref())]));
        }
        units.extend(gaps.iter().map(|gap| self.unit(gap)));
        units
    }

    /// Reading goes on somewhere, and the gap is closed.
    fn unit(&self, gap: &StoredGap) -> Vec<Operation> {
        let mut unit = match gap.gap.kind {
            GapKind::IndexVanished => {
                let forgotten = self.closing.forget_index(&gap.gap.subject);
                // The index may name the group, whose state does not name the index any more: that is no surprise.
                std::iter::once(forgotten)
                    .chain(self.loaded.start.iter().map(|start| self.closing.pin(start)))
                    .collect()
            }
            kind if kind.concerns_the_stream() => {
                self.stream.start.iter().map(|start| self.closing.pin(start)).collect()
            }
            _ if gap.label == self.closing.label => self.shard(&ShardId::new(gap.gap.subject.as_str())),
            // The gap is of a stream that is no longer followed: none of it can be read.
            _ => Vec::new(),
        };
        unit.push(self.closing.closed(gap));
        unit
    }

    fn shard(&self, shard: &ShardId) -> Vec<Operation> {
        if self.done.contains(shard) {
            return Vec::new();
        }
        if !self.stream.gone.contains(shard) {
            return vec![self.closing.resume(shard, self.parent(shard))];
        }
        let is_child = |listed: &&ListedShard| listed.parent.as_ref() == Some(shard);
        let children: Vec<&ShardId> = self.stream.listed.iter().filter(is_child).map(|child| &child.id).collect();
        self.closing.gone(shard, &children).into()
    }

    /// The unknown descendants of a vanished shard belong to its gap.
    /// Those that have a gap of their own are left to it.
    fn heirs(&self) -> impl Iterator<Item = &ListedShard> {
        let before = self.before_the_start();
        let has_a_gap = |shard: &ShardId| self.loaded.gaps.iter().any(|gap| gap.subject == shard.as_str());
        let is_heir = move |listed: &&ListedShard| {
            let is_orphan = listed.parent.as_ref().is_some_and(|parent| self.stream.gone.contains(parent));
            is_orphan && !self.is_known(&listed.id) && !has_a_gap(&listed.id) && !before.contains(&listed.id)
        };
        self.stream.listed.iter().filter(is_heir)
    }

    /// The group ignores the ancestors of the shards that it began with.
    fn before_the_start(&self) -> BTreeSet<&ShardId> {
        let parents: BTreeMap<&ShardId, Option<&ShardId>> =
            self.stream.listed.iter().map(|listed| (&listed.id, listed.parent.as_ref())).collect();
        let mut before = BTreeSet::new();
        for root in self.loaded.start.iter().flat_map(|start| &start.roots) {
            let mut next = parents.get(root).copied().flatten();
            while let Some(ancestor) = next {
                if !before.insert(ancestor) {
                    break;
                }
                next = parents.get(ancestor).copied().flatten();
            }
        }
        before
    }

    fn is_known(&self, shard: &ShardId) -> bool {
        let is_root = self.loaded.start.iter().any(|start| start.roots.contains(shard));
        is_root || self.done.contains(shard) || self.loaded.shards.iter().any(|stored| stored.id == *shard)
    }

    fn parent(&self, shard: &ShardId) -> Option<&ShardId> {
        let stored = self.loaded.shards.iter().find(|stored| stored.id == *shard);
        let listed = self.stream.listed.iter().find(|listed| listed.id == *shard);
        stored.and_then(|stored| stored.parent.as_ref()).or_else(|| listed?.parent.as_ref())
    }
}

impl InStream {
    /// Parents that no listing shows: whether they are gone is to be asked for by name.
    pub(super) fn missing_parents(&self) -> BTreeSet<&ShardId> {
        let listed: BTreeSet<&ShardId> = self.listed.iter().map(|shard| &shard.id).collect();
        self.listed.iter().filter_map(|shard| shard.parent.as_ref()).filter(|parent| !listed.contains(parent)).collect()
    }
}

#[cfg(test)]
mod tests;
