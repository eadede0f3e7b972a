//! What closing gaps writes: pure.

use std::collections::{BTreeMap, BTreeSet};

use streamdex_dynamodb::state::Operation;
use streamdex_dynamodb::stream::{ListedShard, ShardId};

use crate::gap::{Gap, GapKind};
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
    let of_shards = gaps.iter().filter(|gap| gap.label == label && is_about_a_shard(gap.gap.kind));
    of_shards.map(|gap| ShardId::new(gap.gap.subject.as_str())).collect()
}

fn is_about_a_shard(kind: GapKind) -> bool {
    !kind.concerns_the_stream() && kind != GapKind::IndexVanished
}

/// Whether the group must begin with the stream again.
pub(super) fn wants_a_start(gaps: &[StoredGap], loaded: &Loaded) -> bool {
    let is_lost = |gap: &StoredGap| gap.gap.kind == GapKind::StateLost;
    let of_stream = |gap: &StoredGap| gap.gap.kind.concerns_the_stream();
    gaps.iter().any(is_lost) || (loaded.start.is_none() && gaps.iter().any(of_stream))
}

/// Joins units up to `most` operations; none is torn, and one that is larger is alone.
pub(super) fn batches(units: Vec<Vec<Operation>>, most: usize) -> Vec<Vec<Operation>> {
    let mut batches: Vec<Vec<Operation>> = Vec::new();
    for unit in units {
        match batches.last_mut() {
            Some(batch) if batch.len() + unit.len() <= most => batch.extend(unit),
            _ => batches.push(unit),
        }
    }
    batches
}

impl Plan<'_> {
    /// One unit for each gap: reading goes on somewhere, and the gap is closed.
    pub(super) fn units(&self, gaps: &[StoredGap]) -> Vec<Vec<Operation>> {
        let mut resumed: BTreeSet<ShardId> = shards(gaps, self.closing.label).into_iter().collect();
        let mut is_pinned = false;
        let mut units = Vec::new();
        for gap in gaps {
            let mut unit = match gap.gap.kind {
                GapKind::IndexVanished => vec![self.closing.forget_index(&gap.gap.subject)],
                kind if kind.concerns_the_stream() && !std::mem::replace(&mut is_pinned, true) => {
                    self.stream.start.iter().map(|start| self.closing.pin(start)).collect()
                }
                // Of a stream that is followed no more: nothing is left to be read.
                _ if gap.label != self.closing.label => Vec::new(),
                kind if is_about_a_shard(kind) => self.shard(&gap.gap, &mut resumed),
                _ => Vec::new(),
            };
            unit.push(self.closing.closed(gap));
            units.push(unit);
        }
        units
    }

    fn shard(&self, gap: &Gap, resumed: &mut BTreeSet<ShardId>) -> Vec<Operation> {
        let shard = ShardId::new(gap.subject.as_str());
        if self.done.contains(&shard) {
            return Vec::new();
        }
        if !self.stream.gone.contains(&shard) {
            return vec![self.closing.resume(&shard, self.parent(&shard))];
        }
        // What came after the shard belongs to its gap: the children that are left, and those whose parents are trimmed.
        let heirs: Vec<&ListedShard> = self.heirs(&shard).into_iter().filter(|heir| !self.is_known(&heir.id)).collect();
        let children: Vec<&ShardId> =
            self.stream.listed.iter().filter(|listed| listed.parent.as_ref() == Some(&shard)).map(|c| &c.id).collect();
        let mut unit: Vec<Operation> = self.closing.gone(&shard, &children).into();
        for heir in heirs {
            if resumed.insert(heir.id.clone()) {
                unit.push(self.closing.resume_unknown(&heir.id, heir.parent.as_ref()));
            }
        }
        unit
    }

    /// Children of the shard, and shards of which nobody knows where they came from.
    fn heirs(&self, shard: &ShardId) -> Vec<&ListedShard> {
        let listed: BTreeMap<&ShardId, Option<&ShardId>> =
            self.stream.listed.iter().map(|listed| (&listed.id, listed.parent.as_ref())).collect();
        let before = self.before_the_start(&listed);
        let is_heir = |of: &&ListedShard| match &of.parent {
            Some(parent) if parent == shard => true,
            Some(parent) => !listed.contains_key(parent) && !self.is_known(parent) && !before.contains(&of.id),
            None => false,
        };
        self.stream.listed.iter().filter(is_heir).collect()
    }

    /// What lies before the shards that the group began with is none of its business.
    fn before_the_start<'b>(&self, listed: &BTreeMap<&'b ShardId, Option<&'b ShardId>>) -> BTreeSet<&'b ShardId> {
        let mut before = BTreeSet::new();
        for root in self.loaded.start.iter().flat_map(|start| &start.roots) {
            let mut next = listed.get(root).copied().flatten();
            while let Some(ancestor) = next {
                if !before.insert(ancestor) {
                    break;
                }
                next = listed.get(ancestor).copied().flatten();
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
