//! The items themselves.

use std::collections::{BTreeMap, BTreeSet};

use streamdex_dynamodb::stream::ShardId;
use streamdex_poller::graph::{KeepDone, KnownProgress};
use streamdex_poller::lease::{Holder, Lease, WorkerId, Written};
use streamdex_poller::state::{Generations, Loaded, StoredShard, StoredWorker, StreamStart};
use streamdex_poller::{Gap, GapKind};
use streamdex_sink::index::KnownIndex;

/// The items of one group about one table.
#[derive(Debug, Default)]
pub(crate) struct StateItems {
    /// By the stream's label.
    streams: BTreeMap<String, StreamItems>,
    pub(crate) indices: Vec<KnownIndex>,
    pub(crate) workers: BTreeMap<WorkerId, StoredWorker>,
}

/// The items about one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamItems {
    pub(crate) start: Option<StreamStart>,
    pub(crate) shards: BTreeMap<ShardId, StoredShard>,
    done: BTreeMap<ShardId, Done>,
    /// Every shard that was ever done.
    pub(crate) ended: BTreeSet<ShardId>,
    pub(crate) gaps: Vec<Gap>,
}

/// A shard that is done.
#[derive(Debug)]
struct Done {
    parent: Option<ShardId>,
    updated: u64,
    /// When the item goes, in seconds since 1970.
    expires: Option<u64>,
}

impl StateItems {
    /// Items whose time is over go.
    pub(crate) fn expire(&mut self, now: u64) {
        for stream in self.streams.values_mut() {
            stream.done.retain(|_, done| done.expires.is_none_or(|expires| now <= expires));
        }
    }

    pub(crate) fn stream(&mut self, label: &str) -> &mut StreamItems {
        self.streams.entry(label.to_owned()).or_default()
    }

    pub(crate) fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.streams.values().flat_map(|stream| &stream.gaps)
    }

    /// Who owns a shard's lease.
    pub(crate) fn owner(&self, shard: &str) -> Option<&WorkerId> {
        let shard = ShardId::new(shard);
        self.streams.values().find_map(|stream| stream.shards.get(&shard))?.holder.owner.as_ref()
    }

    pub(crate) fn is_done(&self, shard: &str) -> bool {
        let shard = ShardId::new(shard);
        self.streams.values().any(|stream| stream.ended.contains(&shard))
    }

    /// How many streams the group has begun to follow, in their order.
    pub(crate) fn begun(&self) -> usize {
        self.streams.values().filter(|stream| stream.start.is_some()).count()
    }

    pub(crate) fn load(&self, label: &str) -> Loaded {
        let mut loaded = Loaded {
            other_streams: self.others(label),
            ended_streams: self.ended(),
            indices: self.indices.clone(),
            workers: self.workers.values().cloned().collect(),
            ..Loaded::default()
        };
        let Some(stream) = self.streams.get(label) else { return loaded };
        loaded.start = stream.start.clone();
        loaded.gaps = stream.gaps.clone();
        loaded.shards = stream.shards.values().cloned().collect();
        loaded.stop_at_gaps();
        let done = stream.done.iter().map(|(id, done)| StoredShard {
            id: id.clone(),
            parent: done.parent.clone(),
            progress: KnownProgress::Done,
            generations: Generations::new(),
            updated: done.updated,
            holder: Holder::default(),
        });
        loaded.shards.extend(done);
        loaded
    }

    /// Labels of the streams that were read to their end.
    fn ended(&self) -> Vec<String> {
        let over = |gap: &Gap| matches!(gap.kind, GapKind::StreamReplaced | GapKind::StreamVanished);
        let ended = self.streams.iter().filter(|(_, stream)| stream.gaps.iter().any(over));
        ended.map(|(label, _)| label.clone()).collect()
    }

    /// Labels of the other streams that were begun.
    fn others(&self, label: &str) -> Vec<String> {
        let begun = self.streams.iter().filter(|(found, stream)| *found != label && stream.start.is_some());
        begun.map(|(label, _)| label.clone()).collect()
    }

    /// The shard's item, where this worker holds the lease.
    pub(crate) fn owned(&mut self, label: &str, lease: &Lease, worker: &WorkerId) -> Option<&mut StoredShard> {
        let stored = self.stream(label).shards.get_mut(&lease.shard)?;
        (stored.holder.owner.as_ref() == Some(worker) && stored.holder.fence == lease.fence).then_some(stored)
    }

    /// A new item, unless there is one, or the shard is done.
    pub(crate) fn open(
        &mut self,
        label: &str,
        shard: &ShardId,
        parent: Option<&ShardId>,
        (holder, updated): (Holder, u64),
    ) -> bool {
        let stream = self.stream(label);
        if stream.done.contains_key(shard) || stream.shards.contains_key(shard) {
            return false;
        }
        let item = StoredShard {
            id: shard.clone(),
            parent: parent.cloned(),
            progress: KnownProgress::Begun(None),
            generations: Generations::new(),
            updated,
            holder,
        };
        stream.shards.insert(shard.clone(), item);
        true
    }

    /// The lease goes, the shard is done, and the children are the worker's; or nothing of it.
    pub(crate) fn succeed(
        &mut self,
        label: &str,
        lease: &Lease,
        (children, keep): (&[ShardId], &KeepDone),
        (worker, now): (&WorkerId, u64),
    ) -> Written {
        let is_ours = self.owned(label, lease, worker).is_some();
        let stream = self.stream(label);
        if !is_ours || children.iter().any(|child| stream.shards.contains_key(child)) {
            return Written::Lost;
        }
        stream.shards.remove(&lease.shard);
        let expires = keep.period().map(|period| now + period.as_secs());
        stream.done.insert(lease.shard.clone(), Done { updated: now, expires, parent: keep.parent().cloned() });
        stream.ended.insert(lease.shard.clone());
        for child in children {
            let holder = Holder { owner: Some(worker.clone()), fence: 1 };
            self.open(label, child, Some(&lease.shard), (holder, now));
        }
        Written::Stored
    }
}
