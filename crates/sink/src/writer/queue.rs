//! The queue of waiting operations: one lane per index, in order, with at most one operation per document in flight.
//! Pure.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};

use streamdex_mapping::IndexName;
use tokio::time::{Duration, Instant};

use super::gate::Gate;
use super::lane::{Lane, Room, Taken};
use super::op::Op;

#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<IndexName, Lane>,
    /// Every document that is in a lane, delayed, or sent; with the operations that wait for it.
    documents: HashMap<u64, VecDeque<Op>>,
    /// Operations that are sent again, by the time when.
    delayed: BTreeMap<(Instant, u64), Vec<Op>>,
    serial: u64,
    /// All operations in here, those that were taken not counted.
    count: usize,
}

/// Whether a batch that is not full waits for more operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// It does not: the server has nothing else to do.
    None,
    /// Until its oldest operation has waited this long.
    UpTo(Duration),
}

/// What could be sent now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) operations: usize,
    pub(super) bytes: usize,
    pub(super) oldest: Option<Instant>,
}

// === impl Queue ===

impl Queue {
    /// Takes an operation in. One on a document that is under way waits until that is decided.
    pub(super) fn push(&mut self, op: Op) {
        self.count += 1;
        match self.documents.entry(op.document) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push_back(op),
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                self.lane(op.operation.address.index.clone()).push_back(op);
            }
        }
    }

    /// The operation on this document that was taken is decided; the next one on it may go.
    pub(super) fn release(&mut self, document: u64) {
        let Entry::Occupied(mut waiting) = self.documents.entry(document) else { return };
        match waiting.get_mut().pop_front() {
            Some(next) => self.lane(next.operation.address.index.clone()).push_back(next),
            None => {
                waiting.remove();
            }
        }
    }

    /// Whether a newer operation waits for the one on this document that is under way.
    pub(super) fn has_newer(&self, document: u64) -> bool {
        self.documents.get(&document).is_some_and(|waiting| !waiting.is_empty())
    }

    /// Puts operations that were taken back to where they came from, in the same order.
    pub(super) fn put_back(&mut self, ops: Vec<Op>) {
        self.count += ops.len();
        self.put_in_front(ops);
    }

    /// Puts operations that were taken back behind all others of their indices, so that the next probe is another one.
    pub(super) fn put_behind(&mut self, ops: Vec<Op>) {
        self.count += ops.len();
        for op in ops {
            self.lane(op.operation.address.index.clone()).push_back(op);
        }
    }

    /// Puts operations that were taken back, to be sent no earlier than `until`.
    pub(super) fn delay(&mut self, ops: Vec<Op>, until: Instant) {
        if ops.is_empty() {
            return;
        }
        self.count += ops.len();
        self.serial += 1;
        self.delayed.insert((until, self.serial), ops);
    }

    /// Puts delayed operations whose time has come in front of their lanes.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            let ops = first.remove();
            self.put_in_front(ops);
        }
    }

    fn put_in_front(&mut self, ops: Vec<Op>) {
        for op in ops.into_iter().rev() {
            self.lane(op.operation.address.index.clone()).push_front(op);
        }
    }

    /// Takes a request's worth out of the lanes whose gates are open, the one that waits longest first.
    fn take(&mut self, room: Room, now: Instant) -> Taken {
        self.take_in_order(room, now, |lane| lane.ops.front().map(|op| op.taken_at))
    }

    fn take_in_order<K: Ord>(&mut self, room: Room, now: Instant, order: impl Fn(&Lane) -> K) -> Taken {
        let mut taken = Taken::default();
        let mut company = room.operations;
        let mut open: Vec<&mut Lane> = self.lanes.values_mut().filter(|lane| lane.is_mixed()).collect();
        open.sort_by_key(|lane| order(lane));
        for lane in open {
            lane.fill(&mut taken, &mut company, room, now);
        }
        self.count -= taken.len();
        taken
    }

    /// Takes one operation, to see whether the cluster takes any; nothing where none is ready. Another one each time.
    pub(super) fn take_one(&mut self, room: Room, now: Instant) -> Taken {
        let room = Room { operations: 1, ..room };
        let taken = self.take_in_order(room, now, Lane::turn);
        if taken.is_empty() { self.take_apart(room, now) } else { taken }
    }

    /// Takes a request that is not mixed with other indices: a probe of an index, or operations of one whose shards
    /// were not available. It may take long, so it must not hold up the others.
    pub(super) fn take_apart(&mut self, room: Room, now: Instant) -> Taken {
        if let Some(taken) = self.take_probe(room, now) {
            return taken;
        }
        let Some((index, lane)) = self.lanes.iter_mut().find(|(_, lane)| lane.may_go_apart()) else {
            return Taken::default();
        };
        let mut taken = Taken { apart: Some(index.clone()), ..Taken::default() };
        let mut company = room.operations;
        lane.fill(&mut taken, &mut company, room, now);
        self.count -= taken.len();
        taken
    }

    /// Takes the next batch, once it is full or has waited long enough for company.
    pub(super) fn take_batch(&mut self, room: Room, company: Company, now: Instant) -> Taken {
        let ready = self.ready();
        let full = ready.operations >= room.operations || ready.bytes >= room.bytes;
        let waited = match company {
            Company::None => true,
            Company::UpTo(linger) => ready.oldest.is_some_and(|oldest| oldest + linger <= now),
        };
        if ready.operations > 0 && (full || waited) { self.take(room, now) } else { Taken::default() }
    }

    /// Takes one operation of an index whose gate may be probed, and marks the gate.
    fn take_probe(&mut self, room: Room, now: Instant) -> Option<Taken> {
        let mut lanes = self.lanes.iter_mut();
        let (index, lane) = lanes.find(|(_, lane)| !lane.ops.is_empty() && lane.gate.may_probe(now))?;
        let mut taken = Taken { probes: Some(index.clone()), apart: Some(index.clone()), ..Taken::default() };
        lane.bring_probe_forward();
        lane.fill(&mut taken, &mut 1, room, now);
        if !taken.send.is_empty() {
            lane.gate.probe();
        }
        self.count -= taken.len();
        Some(taken)
    }

    /// Operations came back from a request, or an operation is no longer under way.
    pub(super) fn landed(&mut self, op: &Op) {
        self.lane(op.operation.address.index.clone()).landed(op);
    }

    /// An index accepted so many index operations.
    pub(super) fn accepted(&mut self, index: &IndexName, count: u64) {
        self.lane(index.clone()).accepted += count;
    }

    /// How many index operations an index has accepted.
    pub(super) fn accepted_so_far(&self, index: &IndexName) -> u64 {
        self.lanes.get(index).map_or(0, |lane| lane.accepted)
    }

    /// Shards of an index are not available, or it may be what a request was not answered for.
    pub(super) fn set_apart(&mut self, index: &IndexName) {
        self.lane(index.clone()).apart = true;
    }

    /// An index that is paused carried a delete out: the next ones will pass too.
    pub(super) fn deletes_pass(&mut self, index: &IndexName) {
        self.lane(index.clone()).deletes_pass = true;
    }

    /// An index answered, and all its shards are available.
    pub(super) fn mix(&mut self, index: &IndexName) {
        self.lane(index.clone()).apart = false;
    }

    /// Whether operations of an index wait, or are under way.
    pub(super) fn is_busy(&self, index: &IndexName) -> bool {
        let waits = self.lanes.get(index).is_some_and(|lane| !lane.ops.is_empty() || lane.is_flying());
        waits || self.delayed.values().flatten().any(|op| op.operation.address.index == *index)
    }

    /// Whether any operation waits, or is under way.
    pub(super) fn is_all_busy(&self) -> bool {
        self.delayed.values().any(|ops| !ops.is_empty())
            || self.lanes.values().any(|lane| !lane.ops.is_empty() || lane.is_flying())
    }

    /// The gate of an index.
    pub(super) fn gate(&mut self, index: &IndexName) -> &mut Gate {
        &mut self.lane(index.clone()).gate
    }

    /// What the open lanes hold.
    pub(super) fn ready(&self) -> Ready {
        let open = self.lanes.values().filter(|lane| lane.is_mixed() && !lane.ops.is_empty());
        open.fold(Ready::default(), |sum, lane| Ready {
            operations: sum.operations + lane.ops.len(),
            bytes: sum.bytes + lane.bytes,
            oldest: sum.oldest.into_iter().chain(lane.ops.front().map(|op| op.taken_at)).min(),
        })
    }

    /// When an index may be probed next.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.lanes.values().filter(|lane| !lane.ops.is_empty()).filter_map(|lane| lane.gate.probe_at()).min()
    }

    /// When a delayed operation is due next.
    pub(super) fn next_delayed(&self) -> Option<Instant> {
        self.delayed.keys().next().map(|(until, _)| *until)
    }

    /// How many operations wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes everything out, in no particular order. Documents of operations that were taken before stay under way.
    pub(super) fn drain(&mut self) -> Vec<Op> {
        let mut all: Vec<Op> = self.lanes.values_mut().flat_map(|lane| lane.ops.drain(..)).collect();
        self.lanes.values_mut().for_each(|lane| lane.bytes = 0);
        all.extend(std::mem::take(&mut self.delayed).into_values().flatten());
        // Callers get their decisions in this order, which must not depend on that of a hash map.
        let mut behind: Vec<Op> = self.documents.values_mut().flat_map(|waiting| waiting.drain(..)).collect();
        behind.sort_by_key(|op| (op.taken_at, op.document));
        for op in &all {
            self.documents.remove(&op.document);
        }
        all.extend(behind);
        self.count = 0;
        all
    }

    fn lane(&mut self, index: IndexName) -> &mut Lane {
        self.lanes.entry(index).or_default()
    }
}

#[cfg(test)]
mod tests;
