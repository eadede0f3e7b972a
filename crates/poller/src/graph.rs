//! The graph of a stream's shards, which decides the order of reading: a pure state machine.
//!
//! Listings and the state table go in, commands come out. A listing is no snapshot: a child can be shown
//! before its parent looks closed, a closed shard before it has a child, and a trimmed parent not at all. So
//! absence counts only when several complete listings agree, and children are asked for by name.

mod children;
mod command;
mod keep;
mod known;
mod listing;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use streamdex_config::StartPosition;
use streamdex_dynamodb::stream::{KEPT_SECONDS, ListedShard, ShardId};

pub use self::command::{Command, Position, ReadFrom, Remaining, Until};
pub use self::keep::KeepDone;
pub use self::known::{KnownShard, ShardProgress};
use self::search::Search;
pub use self::search::seek_delay;

/// The state machine.
#[derive(Debug)]
pub struct ShardGraph {
    nodes: BTreeMap<ShardId, Node>,
    /// The known children of each shard.
    heirs: BTreeMap<ShardId, BTreeSet<ShardId>>,
    roots: BTreeSet<ShardId>,
    /// The ancestors of the roots, as far as listings have shown them. The group ignores them.
    before: BTreeSet<ShardId>,
    until: Until,
    listed_before: bool,
}

#[derive(Debug)]
struct Node {
    parent: Option<ShardId>,
    stage: Stage,
    /// Complete listings in a row that did not show it.
    absent: u32,
    /// Complete listings in a row that did not show its parent, which is not known either.
    orphaned: u32,
    shown: bool,
    in_scope: bool,
    /// Whether the position in its item counts.
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It has no item: its parent is not drained.
    Waiting,
    /// An item is being made for it.
    Storing,
    /// It has an item, and waits for its parent.
    Stored,
    Reading,
    /// Read to its end and acknowledged; its children are looked for.
    Drained {
        search: Search,
        stale: bool,
    },
    /// Its children have items.
    Done {
        stale: bool,
    },
    /// Read to the present end.
    AtEnd,
    Gapped,
}

/// The shards with which a new group begins, from listings of the same moment.
///
/// `TrimHorizon`: all that are listed are to be read. `Latest`: those that could still take changes; a shard that
/// is shown as closed and has a child took its last change before. Of these, the ones without an ancestor among
/// them: what comes after a root waits for it.
pub fn roots(listed: &[ListedShard], start: StartPosition) -> Vec<ShardId> {
    let parents: BTreeMap<_, _> = listed.iter().filter_map(|shard| Some((&shard.id, shard.parent.as_ref()?))).collect();
    let with_children: BTreeSet<_> = parents.values().copied().collect();
    let is_to_be_read = |shard: &&ListedShard| match start {
        StartPosition::TrimHorizon => true,
        StartPosition::Latest => !(shard.closed && with_children.contains(&shard.id)),
    };
    let to_be_read: BTreeSet<_> = listed.iter().filter(is_to_be_read).map(|shard| &shard.id).collect();
    let has_ancestor = |shard: &ShardId| {
        let up = std::iter::successors(parents.get(shard).copied(), |id| parents.get(id).copied());
        // A chain cannot be longer than the listing; data from outside could be a ring.
        up.take(listed.len()).any(|ancestor| to_be_read.contains(ancestor))
    };
    to_be_read.iter().filter(|shard| !has_ancestor(shard)).map(|shard| (*shard).clone()).collect()
}

/// Parents that are not listed beside their children, and that were opened so lately before `now` that they cannot be
/// trimmed: with such a listing a group would begin with the children.
pub fn missing_parents(listed: &[ListedShard], now: u64) -> BTreeSet<ShardId> {
    let ids: BTreeSet<&ShardId> = listed.iter().map(|shard| &shard.id).collect();
    let is_young = |parent: &ShardId| parent.opened().is_some_and(|opened| opened + KEPT_SECONDS > now);
    let parents = listed.iter().filter_map(|shard| shard.parent.as_ref());
    parents.filter(|parent| !ids.contains(parent) && is_young(parent)).cloned().collect()
}

// === impl ShardGraph ===

impl ShardGraph {
    /// Creates the graph of a group that began with `roots`; it ignores their ancestors. `known` is the state from the
    /// state table.
    pub fn new(roots: Vec<ShardId>, known: &[KnownShard], until: Until) -> ShardGraph {
        let nodes = roots.iter().map(|root| (root.clone(), Node::waiting(None))).collect();
        let roots = roots.into_iter().collect();
        let (heirs, before) = (BTreeMap::new(), BTreeSet::new());
        let mut graph = ShardGraph { nodes, heirs, roots, before, until, listed_before: false };
        graph.know(known);
        let undrained: Vec<ShardId> = graph
            .nodes
            .iter()
            .filter(|(id, node)| node.stage == Stage::Stored && !graph.is_parent_drained(id, node))
            .map(|(id, _)| id.clone())
            .collect();
        for id in undrained {
            if let Some(node) = graph.nodes.get_mut(&id) {
                node.position = Position::Ignored;
            }
        }
        graph
    }

    /// Takes in what the state table says, of shards that nothing is known of.
    fn know(&mut self, known: &[KnownShard]) {
        for shard in known {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(shard.parent.clone()));
            node.parent = node.parent.take().or_else(|| shard.parent.clone());
            if let Some(parent) = node.parent.clone() {
                self.heirs.entry(parent).or_default().insert(shard.id.clone());
            }
            if node.stage != Stage::Waiting {
                continue;
            }
            node.stage = match &shard.progress {
                ShardProgress::Open(_) => Stage::Stored,
                ShardProgress::Drained => Stage::Drained { search: Search::default(), stale: shard.stale },
                ShardProgress::Done => Stage::Done { stale: shard.stale },
                ShardProgress::Gapped => Stage::Gapped,
            };
        }
    }

    /// Begins: what has an item is read. To the present end, what is to be read is known from the first listing on.
    pub fn start(&mut self) -> Vec<Command> {
        if self.until == Until::PresentEnd {
            return Vec::new();
        }
        let stored: Vec<ShardId> = self.nodes.keys().cloned().collect();
        stored.iter().flat_map(|id| self.read_if_ready(id)).collect()
    }

    /// Takes in the shards that are done. The children of what an earlier reader has drained are looked for from now on:
    /// some of them may be done. Roots without an item get one, listed or not: what is left of them is what there is.
    pub fn know_done(&mut self, done: &[KnownShard]) -> Vec<Command> {
        self.know(done);
        let mut commands = Vec::new();
        for root in &self.roots {
            let Some(node) = self.nodes.get_mut(root).filter(|node| node.stage == Stage::Waiting) else { continue };
            (node.stage, node.in_scope) = (Stage::Storing, true);
            commands.push(Command::Store { shard: root.clone(), parent: node.parent.clone() });
        }
        let drained = self
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node.stage, Stage::Drained { search, .. } if search.attempts == 0));
        commands.extend(drained.map(|(id, _)| Command::SeekChildren { parent: id.clone(), attempt: 0 }));
        commands
    }

    /// The shard is noted as drained, and everything it held is acknowledged: its children are looked for, and those
    /// that have items are read.
    pub fn drained(&mut self, shard: &ShardId) -> Vec<Command> {
        self.set(shard, Stage::Drained { search: Search::default(), stale: false });
        let heirs: Vec<ShardId> = self.heirs.get(shard).into_iter().flatten().cloned().collect();
        let mut commands = vec![Command::SeekChildren { parent: shard.clone(), attempt: 0 }];
        commands.extend(heirs.iter().flat_map(|heir| self.read_if_ready(heir)));
        commands
    }

    /// The shard was read to the present end ([`Until::PresentEnd`]).
    pub fn at_end(&mut self, shard: &ShardId) {
        self.set(shard, Stage::AtEnd);
    }

    /// The shard's reader met a gap; its lineage stops.
    pub fn gapped(&mut self, shard: &ShardId) {
        self.set(shard, Stage::Gapped);
    }

    /// Whether the group began with the shard.
    pub fn is_root(&self, shard: &ShardId) -> bool {
        self.roots.contains(shard)
    }

    /// Whether any listing or question has shown a child of the shard.
    pub fn has_children(&self, shard: &ShardId) -> bool {
        self.heirs.get(shard).is_some_and(|children| !children.is_empty())
    }

    /// How long to remember that the shard is done.
    pub fn keep_done(&self, shard: &ShardId) -> KeepDone {
        if !self.is_root(shard) {
            return KeepDone::AWeek;
        }
        KeepDone::ForEver { parent: self.nodes.get(shard).and_then(|node| node.parent.clone()) }
    }

    /// Whether there is something left to do.
    pub fn remaining(&self) -> Remaining {
        if self.nodes.values().any(|node| node.stage == Stage::Reading) {
            return Remaining::Some;
        }
        let blocked = self.blocked();
        if self.nodes.iter().any(|(id, node)| self.can_go_on(node) && !blocked.contains(id)) {
            return Remaining::Some;
        }
        let gapped = self.nodes.values().any(|node| node.stage == Stage::Gapped);
        match self.until {
            _ if gapped && self.listed_before => Remaining::OnlyGaps,
            _ if gapped => Remaining::Unlisted,
            Until::PresentEnd if self.listed_before => Remaining::Nothing,
            _ => Remaining::Some,
        }
    }

    /// Whether nothing is being read and nothing waits: all that was listed is read.
    pub fn is_drained(&self) -> bool {
        let blocked = self.blocked();
        let busy = |(id, node): (&ShardId, &Node)| match node.stage {
            Stage::Waiting | Stage::Stored => !blocked.contains(id),
            Stage::Storing | Stage::Reading => true,
            Stage::Drained { .. } | Stage::Done { .. } | Stage::AtEnd | Stage::Gapped => false,
        };
        self.listed_before && !self.nodes.iter().any(busy)
    }

    /// Whether there are shards whose records nobody reads: children are looked for, a shard waits for its parent, or was
    /// left at its present end.
    pub fn has_unread_shards(&self) -> bool {
        let is_unread = |node: &Node| match node.stage {
            Stage::Waiting | Stage::Storing | Stage::Stored | Stage::Drained { .. } | Stage::AtEnd => true,
            Stage::Reading | Stage::Done { .. } | Stage::Gapped => false,
        };
        !self.listed_before || self.nodes.values().any(is_unread)
    }

    fn stage(&self, shard: &ShardId) -> Option<&Stage> {
        self.nodes.get(shard).map(|node| &node.stage)
    }

    fn set(&mut self, shard: &ShardId, stage: Stage) {
        if let Some(node) = self.nodes.get_mut(shard) {
            node.stage = stage;
        }
    }

    fn is_in_scope(&self, node: &Node) -> bool {
        self.until == Until::Stopped || node.in_scope
    }

    /// Whether nothing of its parent is left to be read. [`ShardGraph::listed`] judges shards that neither the state
    /// table nor a listing knows.
    fn is_parent_drained(&self, id: &ShardId, node: &Node) -> bool {
        match &node.parent {
            _ if self.roots.contains(id) => true,
            None => true,
            Some(parent) => match self.stage(parent) {
                Some(Stage::Drained { .. } | Stage::Done { .. }) => true,
                // An item is made when the parent is drained, and outlives that of the parent.
                Some(Stage::Waiting) | None => node.stage == Stage::Stored,
                Some(_) => false,
            },
        }
    }

    fn read_if_ready(&mut self, shard: &ShardId) -> Vec<Command> {
        let Some(node) = self.nodes.get(shard) else { return Vec::new() };
        if node.stage != Stage::Stored || !self.is_in_scope(node) || !self.is_parent_drained(shard, node) {
            return Vec::new();
        }
        let (parent, position) = (node.parent.clone(), node.position);
        self.set(shard, Stage::Reading);
        vec![Command::Read { shard: shard.clone(), parent, position }]
    }

    fn can_go_on(&self, node: &Node) -> bool {
        match &node.stage {
            Stage::Storing | Stage::Reading | Stage::Waiting | Stage::Stored => self.is_in_scope(node),
            Stage::Drained { search, .. } => !search.is_over(self.until) && self.is_in_scope(node) && node.absent == 0,
            Stage::Done { .. } | Stage::AtEnd | Stage::Gapped => false,
        }
    }

    /// The shards after a shard that stopped for good: they never start.
    fn blocked(&self) -> BTreeSet<ShardId> {
        let mut blocked = BTreeSet::new();
        let mut free: BTreeSet<&ShardId> = BTreeSet::new();
        for id in self.nodes.keys() {
            let mut path = Vec::new();
            let mut next = Some(id);
            let is_blocked = loop {
                let Some(at) = next else { break false };
                let Some(node) = self.nodes.get(at) else { break false };
                // What stopped itself blocks those behind it alone; data from outside could be a ring.
                let stopped = !path.is_empty() && matches!(node.stage, Stage::Gapped | Stage::AtEnd);
                if stopped || blocked.contains(at) || path.contains(&at) {
                    break true;
                }
                if free.contains(at) {
                    break false;
                }
                path.push(at);
                next = node.parent.as_ref();
            };
            for at in path {
                if is_blocked {
                    blocked.insert(at.clone());
                } else {
                    free.insert(at);
                }
            }
        }
        blocked
    }
}

// === impl Node ===

impl Node {
    fn waiting(parent: Option<ShardId>) -> Node {
        Node {
            parent,
            stage: Stage::Waiting,
            absent: 0,
            orphaned: 0,
            shown: false,
            in_scope: false,
            position: Position::Counts,
        }
    }
}

#[cfg(test)]
mod tests;
