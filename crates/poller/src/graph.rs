//! The shards of one stream, and in which order they may be read: a pure state machine.
//!
//! Listings and the state table go in, commands come out. A listing is no snapshot: a child can be shown
//! before its parent looks closed, a closed shard before it has a child, and a trimmed parent not at all. So
//! absence counts only when several complete listings agree, and children are asked for by name.
//!
//! Every worker of a group has such a graph. What a shard's item says is taken over by [`ShardGraph::absorb`];
//! one worker lists the stream and offers what may be read, and whoever drained a shard looks for its children.

mod children;
mod command;
mod keep;
mod known;
mod listing;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use streamdex_config::StartPosition;
use streamdex_dynamodb::stream::{ListedShard, ShardId};

pub use self::command::{Command, Progress, ReadFrom, Until};
pub use self::keep::KeepDone;
pub use self::known::{KnownProgress, KnownShard};
use self::search::Search;
pub use self::search::seek_delay;

/// The state machine.
#[derive(Debug)]
pub struct ShardGraph {
    nodes: BTreeMap<ShardId, Node>,
    roots: BTreeSet<ShardId>,
    /// What the roots came from, as far as listings have shown it: none of the group's business.
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
    /// Whether the state table has shown its item: absence says nothing before.
    seen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It has no item: its parent is not done, or it was not offered yet.
    Waiting,
    /// An item is being made for it.
    Offered,
    /// It has an item: a worker reads it, or may.
    Leased,
    /// Drained and acknowledged. The search is this worker's, if there is one.
    Finished {
        search: Option<Search>,
        stale: bool,
    },
    /// Its children have items. The search for the other half of a split may go on.
    Done {
        search: Option<Search>,
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

// === impl ShardGraph ===

impl ShardGraph {
    /// A graph of a group that began with `roots`; what lies before them is none of its business.
    pub fn new(roots: Vec<ShardId>, known: &[KnownShard], until: Until) -> ShardGraph {
        let nodes = roots.iter().map(|root| (root.clone(), Node::waiting(None))).collect();
        let mut graph = ShardGraph {
            nodes,
            roots: roots.into_iter().collect(),
            before: BTreeSet::new(),
            until,
            listed_before: false,
        };
        graph.absorb(known);
        graph
    }

    /// Takes over what the state table says. What this worker knows better (it drained a shard just now) stays.
    pub fn absorb(&mut self, known: &[KnownShard]) {
        for shard in known {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(shard.parent.clone()));
            node.parent = node.parent.take().or_else(|| shard.parent.clone());
            node.seen = true;
            let is_ours = matches!(node.stage, Stage::Finished { search: Some(_), .. } | Stage::AtEnd);
            node.stage = match (&shard.progress, &node.stage) {
                (KnownProgress::Gapped, _) => Stage::Gapped,
                (KnownProgress::Done, Stage::Done { search, .. }) => {
                    Stage::Done { search: *search, stale: shard.stale }
                }
                (_, Stage::Gapped | Stage::Done { .. }) => continue,
                (KnownProgress::Done, _) => Stage::Done { search: None, stale: shard.stale },
                (KnownProgress::Finished, Stage::Finished { search, .. }) => {
                    Stage::Finished { search: *search, stale: shard.stale }
                }
                _ if is_ours => continue,
                (KnownProgress::Finished, _) => Stage::Finished { search: None, stale: shard.stale },
                (KnownProgress::Begun(_), _) => Stage::Leased,
            };
        }
        if !self.listed_before {
            return;
        }
        // Found by others, from a lineage that was in scope.
        self.spread_scope();
    }

    /// Shards that had an item, and whose item is neither `present` in a refresh nor held by this worker: done.
    ///
    /// A shard that is done is forgotten: the state table shows it again to whoever lists the stream.
    pub fn done_by_others(&mut self, present: &BTreeSet<ShardId>) {
        for (id, node) in &mut self.nodes {
            let by_others = matches!(node.stage, Stage::Leased | Stage::Finished { search: None, .. });
            if by_others && node.seen && !present.contains(id) {
                node.stage = Stage::Done { search: None, stale: false };
            }
        }
        let until = self.until;
        let is_over = |search: &Option<Search>| search.is_none_or(|search| search.is_over(until));
        self.nodes.retain(|_, node| {
            // To the present end, ancestors lead to their descendants.
            until == Until::PresentEnd || !matches!(&node.stage, Stage::Done { search, .. } if is_over(search))
        });
    }

    /// The shard is drained, and everything it held is acknowledged: this worker looks for its children.
    pub fn drained(&mut self, shard: &ShardId) -> Vec<Command> {
        let stale = matches!(self.stage(shard), Some(Stage::Finished { stale: true, .. }));
        self.set(shard, Stage::Finished { search: Some(Search::default()), stale });
        vec![Command::SeekChildren { parent: shard.clone(), attempt: 0 }]
    }

    /// The shard was read to the present end ([`Until::PresentEnd`]).
    pub fn at_end(&mut self, shard: &ShardId) {
        self.set(shard, Stage::AtEnd);
    }

    /// The shard's reader met a gap; its lineage stops.
    pub fn gapped(&mut self, shard: &ShardId) {
        self.set(shard, Stage::Gapped);
    }

    /// The lease of the shard is another worker's now, or nobody's: what was begun for it here is over.
    pub fn let_go(&mut self, shard: &ShardId) {
        match self.stage(shard) {
            Some(Stage::Finished { stale, .. }) => {
                let stale = *stale;
                self.set(shard, Stage::Finished { search: None, stale });
                self.take_back_children(shard);
            }
            Some(Stage::Offered) => self.set(shard, Stage::Leased),
            _ => {}
        }
    }

    /// Children that were to get their items together with the end of `parent`, and may have none now: whoever
    /// ends it, or the next listing, offers them.
    fn take_back_children(&mut self, parent: &ShardId) {
        let children = self.nodes.values_mut().filter(|node| node.parent.as_ref() == Some(parent));
        for child in children.filter(|child| child.stage == Stage::Offered) {
            child.stage = Stage::Waiting;
        }
    }

    /// Whether a worker may read the shard, or look for its children.
    pub fn may_be_claimed(&self, shard: &ShardId) -> bool {
        let Some(node) = self.nodes.get(shard) else { return false };
        let open = matches!(node.stage, Stage::Leased | Stage::Offered | Stage::Finished { .. });
        open && self.is_in_scope(node)
    }

    /// Whether the group began with the shard.
    pub fn is_root(&self, shard: &ShardId) -> bool {
        self.roots.contains(shard)
    }

    /// How long to remember that the shard is done.
    pub fn keep_done(&self, shard: &ShardId) -> KeepDone {
        if !self.is_root(shard) {
            return KeepDone::AWeek;
        }
        KeepDone::ForEver { parent: self.nodes.get(shard).and_then(|node| node.parent.clone()) }
    }

    /// Whether there is something left to do.
    pub fn progress(&self) -> Progress {
        if self.nodes.values().any(|node| self.can_go_on(node)) {
            return Progress::Going;
        }
        let gapped = self.nodes.values().any(|node| node.stage == Stage::Gapped);
        match self.until {
            _ if gapped && self.listed_before => Progress::OnlyGaps,
            _ if gapped => Progress::Unlisted,
            Until::PresentEnd if self.listed_before => Progress::Complete,
            _ => Progress::Going,
        }
    }

    /// Whether nothing is being read and nothing waits: all that was listed is read.
    pub fn is_drained(&self) -> bool {
        let busy = |node: &Node| match node.stage {
            Stage::Waiting => !self.is_blocked(node),
            Stage::Offered | Stage::Leased => true,
            Stage::Finished { .. } | Stage::Done { .. } | Stage::AtEnd | Stage::Gapped => false,
        };
        self.listed_before && !self.nodes.values().any(busy)
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

    fn can_go_on(&self, node: &Node) -> bool {
        match &node.stage {
            Stage::Leased | Stage::Offered => self.is_in_scope(node),
            Stage::Waiting => self.is_in_scope(node) && !self.is_blocked(node),
            // Where the search is nobody's yet, a worker is about to take it up.
            Stage::Finished { search, .. } => {
                let sought = search.is_none_or(|search| !search.is_over(self.until));
                sought && self.is_in_scope(node) && node.absent == 0
            }
            Stage::Done { search, .. } => {
                search.is_some_and(|search| !search.is_over(self.until)) && self.is_in_scope(node) && node.absent == 0
            }
            Stage::AtEnd | Stage::Gapped => false,
        }
    }

    /// Whether an ancestor stopped for good, so that this one never starts.
    fn is_blocked(&self, node: &Node) -> bool {
        let mut parent = node.parent.as_ref();
        // A chain cannot be longer than the graph; data from outside could be a ring.
        for _ in 0..self.nodes.len() {
            match parent.and_then(|id| self.nodes.get(id)) {
                None => return false,
                Some(ancestor) if matches!(ancestor.stage, Stage::Gapped | Stage::AtEnd) => return true,
                Some(ancestor) => parent = ancestor.parent.as_ref(),
            }
        }
        true
    }
}

// === impl Node ===

impl Node {
    fn waiting(parent: Option<ShardId>) -> Node {
        Node { parent, stage: Stage::Waiting, absent: 0, orphaned: 0, shown: false, in_scope: false, seen: false }
    }
}

#[cfg(test)]
mod tests;
