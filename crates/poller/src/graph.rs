//! The shards of one stream, and in which order they may be read: a pure state machine.
//!
//! Listings go in, commands come out. A listing is no snapshot: a child can be shown before its parent
//! looks closed, a closed shard before it has a child, and a trimmed parent not at all. So absence
//! counts only when several complete listings agree, and children are asked for by name.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use streamdex_config::StartPosition;
use streamdex_mapping::SequenceNumber;

use crate::gap::GapKind;
use crate::stream::{ListedShard, ShardId};

/// What a group knows about a stream before it lists the shards.
#[derive(Debug, Clone, Default)]
pub struct Prior {
    /// The shards with which the group began; what lies before them is none of its business.
    pub roots: Vec<ShardId>,
    /// The shards that the state table knows.
    pub shards: Vec<KnownShard>,
}

/// A shard out of the state table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownShard {
    /// The shard.
    pub id: ShardId,
    /// Where it came from.
    pub parent: Option<ShardId>,
    /// How far it was read.
    pub progress: KnownProgress,
    /// Whether that is longer ago than the stream keeps records.
    pub stale: bool,
}

/// How far a shard was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownProgress {
    /// Begun; the last acknowledged record, if any.
    Begun(Option<SequenceNumber>),
    /// Drained, and everything acknowledged.
    Finished,
    /// Stopped at a gap.
    Gapped,
}

/// When the work is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never: shards and their children are followed for ever.
    Stopped,
    /// At the present end of the shards of the first listing and of their descendants.
    PresentEnd,
}

/// Where the reading of a shard begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record there is; that older ones were trimmed is no gap.
    Oldest,
    /// The first record of the shard; trimmed ones are a gap.
    Beginning,
    /// The record after this one; trimmed ones are a gap.
    After(SequenceNumber),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Read this shard.
    Start {
        /// The shard.
        shard: ShardId,
        /// Where it came from.
        parent: Option<ShardId>,
        /// Where to begin.
        from: ReadFrom,
    },
    /// Ask for the children of this shard, after [`seek_delay`] of `attempt`.
    SeekChildren {
        /// The drained shard.
        parent: ShardId,
        /// How often it was asked for before.
        attempt: u32,
    },
    /// Record this gap; the lineage is stopped already.
    Gap {
        /// The shard.
        shard: ShardId,
        /// Why.
        kind: GapKind,
    },
    /// List all shards again, soon: the last listing left a doubt.
    ListAgain,
}

/// Whether there is something left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Shards are being read, or children are awaited.
    Going,
    /// Every shard ended ([`Until::PresentEnd`] alone).
    Complete,
    /// Nothing can go on: each lineage has a gap.
    OnlyGaps,
}

/// The state machine.
#[derive(Debug)]
pub struct ShardGraph {
    nodes: BTreeMap<ShardId, Node>,
    roots: HashSet<ShardId>,
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Not being read yet.
    Waiting {
        begun: Option<Begun>,
    },
    Reading,
    /// Drained and acknowledged.
    Finished {
        search: Search,
        stale: bool,
    },
    /// Read to the present end.
    AtEnd,
    Gapped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Begun {
    position: Option<SequenceNumber>,
    stale: bool,
}

/// The search for the children of a finished shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    Open { attempts: u32, found: u32 },
    Over,
}

/// So many listings must agree before absence means anything.
const AGREEING_LISTINGS: u32 = 3;
/// A split makes two children, and one answer may show only one of them.
const CONFIRMATIONS: u32 = 3;
/// After this many fruitless questions (over 2 s) a closed shard is taken for the last one.
const LAST_SEARCH: u32 = 5;

/// The shards with which a new group begins, from listings of the same moment.
///
/// `TrimHorizon`: those without a parent to read first. `Latest`: those that could still take changes;
/// a shard that is shown as closed and has a child took its last change before.
pub fn roots(listed: &[ListedShard], start: StartPosition) -> Vec<ShardId> {
    let known: HashSet<_> = listed.iter().map(|shard| &shard.id).collect();
    let parents: HashSet<_> = listed.iter().filter_map(|shard| shard.parent.as_ref()).collect();
    let is_root = |shard: &&ListedShard| match start {
        StartPosition::TrimHorizon => shard.parent.as_ref().is_none_or(|parent| !known.contains(parent)),
        StartPosition::Latest => !(shard.closed && parents.contains(&shard.id)),
    };
    let mut roots: Vec<_> = listed.iter().filter(is_root).map(|shard| shard.id.clone()).collect();
    roots.sort();
    roots.dedup();
    roots
}

/// How long to wait before asking for children.
pub fn seek_delay(attempt: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(250);
    const MOST: Duration = Duration::from_secs(5);
    /// By now the stream is switched off, more likely than not.
    const RARELY: Duration = Duration::from_secs(30);
    match attempt {
        0 => Duration::ZERO,
        16.. => RARELY,
        later => FIRST.saturating_mul(2u32.saturating_pow(later - 1)).min(MOST),
    }
}

// === impl ShardGraph ===

impl ShardGraph {
    /// A graph of what the group knows.
    pub fn new(prior: Prior, until: Until) -> ShardGraph {
        let mut nodes = BTreeMap::new();
        for root in &prior.roots {
            nodes.insert(root.clone(), Node::waiting(None));
        }
        for known in prior.shards {
            let stage = match known.progress {
                KnownProgress::Begun(position) => {
                    Stage::Waiting { begun: Some(Begun { position, stale: known.stale }) }
                }
                KnownProgress::Finished => Stage::Finished { search: Search::OPEN, stale: known.stale },
                KnownProgress::Gapped => Stage::Gapped,
            };
            nodes.insert(known.id, Node { stage, ..Node::waiting(known.parent) });
        }
        ShardGraph { nodes, roots: prior.roots.into_iter().collect(), until, listed_before: false }
    }

    /// A complete listing of the stream's shards.
    pub fn listed(&mut self, shards: &[ListedShard]) -> Vec<Command> {
        let first = !self.listed_before;
        self.listed_before = true;
        for node in self.nodes.values_mut() {
            node.shown = false;
        }
        for shard in shards {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(shard.parent.clone()));
            node.shown = true;
            node.absent = 0;
            node.parent = node.parent.take().or_else(|| shard.parent.clone());
        }
        if first {
            self.skip_what_lies_before_the_roots();
            for node in self.nodes.values_mut() {
                node.in_scope = true;
            }
        }
        self.spread_scope();
        let mut commands = self.judge_absence();
        commands.extend(self.advance());
        if first {
            commands.extend(self.searches_to_resume());
        }
        commands
    }

    /// The answer to [`Command::SeekChildren`]; shards of other parents are passed over.
    pub fn children(&mut self, parent: &ShardId, shards: &[ListedShard]) -> Vec<Command> {
        let Some(node) = self.nodes.get(parent) else { return Vec::new() };
        let in_scope = node.in_scope;
        let Stage::Finished { search: Search::Open { attempts, found }, stale } = node.stage else { return Vec::new() };
        let mut any = false;
        for shard in shards.iter().filter(|shard| shard.parent.as_ref() == Some(parent)) {
            any = true;
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(Some(parent.clone())));
            node.shown = true;
            node.absent = 0;
            node.in_scope |= in_scope;
        }
        let (attempts, found) = (attempts + 1, found + u32::from(any));
        let given_up = self.until == Until::PresentEnd && found == 0 && attempts >= LAST_SEARCH;
        let over = found >= CONFIRMATIONS || given_up;
        let search = if over { Search::Over } else { Search::Open { attempts, found } };
        self.set(parent, Stage::Finished { search, stale });
        let mut commands = self.advance();
        if !over {
            commands.push(Command::SeekChildren { parent: parent.clone(), attempt: attempts });
        }
        commands
    }

    /// The shard is drained, and everything it held is acknowledged.
    pub fn finished(&mut self, shard: &ShardId) -> Vec<Command> {
        self.set(shard, Stage::Finished { search: Search::OPEN, stale: false });
        let mut commands = self.advance();
        commands.push(Command::SeekChildren { parent: shard.clone(), attempt: 0 });
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

    /// Whether there is something left to do.
    pub fn progress(&self) -> Progress {
        if self.nodes.values().any(|node| self.can_go_on(node)) {
            return Progress::Going;
        }
        let gapped = self.nodes.values().any(|node| node.stage == Stage::Gapped);
        match self.until {
            _ if gapped => Progress::OnlyGaps,
            Until::PresentEnd if self.listed_before => Progress::Complete,
            _ => Progress::Going,
        }
    }

    /// Whether nothing is being read and nothing waits: all that was listed is read.
    pub fn is_drained(&self) -> bool {
        let busy = |node: &Node| matches!(node.stage, Stage::Waiting { .. } | Stage::Reading);
        self.listed_before && !self.nodes.values().any(busy)
    }

    fn set(&mut self, shard: &ShardId, stage: Stage) {
        if let Some(node) = self.nodes.get_mut(shard) {
            node.stage = stage;
        }
    }

    fn can_go_on(&self, node: &Node) -> bool {
        match &node.stage {
            Stage::Reading => true,
            Stage::Waiting { .. } => node.in_scope_for(self.until) && !self.is_blocked(node),
            Stage::Finished { search: Search::Open { .. }, .. } => node.in_scope_for(self.until) && node.absent == 0,
            Stage::Finished { .. } | Stage::AtEnd | Stage::Gapped => false,
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

    fn skip_what_lies_before_the_roots(&mut self) {
        let mut before: Vec<ShardId> =
            self.roots.iter().filter_map(|root| self.nodes.get(root)?.parent.clone()).collect();
        while let Some(id) = before.pop() {
            if self.roots.contains(&id) {
                continue;
            }
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            if matches!(node.stage, Stage::Waiting { begun: None }) {
                node.stage = Stage::Finished { search: Search::Over, stale: false };
                before.extend(node.parent.clone());
            }
        }
    }

    /// Descendants of what was listed at first are in scope too, however they were found.
    fn spread_scope(&mut self) {
        loop {
            let in_scope = |id: &ShardId| self.nodes.get(id).is_some_and(|node| node.in_scope);
            let heirs = |node: &Node| !node.in_scope && node.parent.as_ref().is_some_and(in_scope);
            let found: Vec<ShardId> =
                self.nodes.iter().filter(|(_, node)| heirs(node)).map(|(id, _)| id.clone()).collect();
            if found.is_empty() {
                return;
            }
            for id in found {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.in_scope = true;
                }
            }
        }
    }

    fn judge_absence(&mut self) -> Vec<Command> {
        let known: HashSet<ShardId> = self.nodes.keys().cloned().collect();
        let mut commands = Vec::new();
        let mut doubt = false;
        for (id, node) in &mut self.nodes {
            node.absent = if node.shown { 0 } else { node.absent.saturating_add(1) };
            let Stage::Waiting { begun } = &node.stage else { continue };
            let free = begun.is_some() || self.roots.contains(id);
            let orphan = !free && node.parent.as_ref().is_some_and(|parent| !known.contains(parent));
            node.orphaned = if orphan { node.orphaned.saturating_add(1) } else { 0 };
            let gap = if node.absent >= AGREEING_LISTINGS {
                Some(GapKind::ShardVanished)
            } else if node.orphaned >= AGREEING_LISTINGS {
                Some(GapKind::ParentMissed)
            } else {
                None
            };
            doubt |= gap.is_none() && (node.absent > 0 || orphan);
            if let Some(kind) = gap {
                node.stage = Stage::Gapped;
                commands.push(Command::Gap { shard: id.clone(), kind });
            }
        }
        if doubt {
            commands.push(Command::ListAgain);
        }
        self.forget_what_is_trimmed();
        commands
    }

    /// Finished shards leave the listing after a day; whoever still waits for one keeps it here.
    fn forget_what_is_trimmed(&mut self) {
        let waiting = |node: &&Node| matches!(node.stage, Stage::Waiting { .. });
        let awaited: HashSet<ShardId> =
            self.nodes.values().filter(waiting).filter_map(|node| node.parent.clone()).collect();
        self.nodes.retain(|id, node| {
            let finished = matches!(node.stage, Stage::Finished { .. });
            !finished || node.absent < AGREEING_LISTINGS || awaited.contains(id)
        });
    }

    /// Starts whatever may start now.
    fn advance(&mut self) -> Vec<Command> {
        let ready: Vec<ShardId> =
            self.nodes.iter().filter(|(id, node)| self.may_start(id, node)).map(|(id, _)| id.clone()).collect();
        ready.into_iter().filter_map(|id| self.start(id)).collect()
    }

    fn may_start(&self, id: &ShardId, node: &Node) -> bool {
        let Stage::Waiting { begun } = &node.stage else { return false };
        if !node.shown || !node.in_scope_for(self.until) {
            return false;
        }
        let parent = || node.parent.as_ref().map(|parent| self.nodes.get(parent).map(|node| &node.stage));
        let free = begun.is_some() || self.roots.contains(id);
        free || matches!(parent(), None | Some(Some(Stage::Finished { .. })))
    }

    fn start(&mut self, shard: ShardId) -> Option<Command> {
        let is_root = self.roots.contains(&shard);
        let parent = self.nodes.get(&shard)?.parent.clone();
        let of_parent = parent.as_ref().and_then(|parent| self.nodes.get(parent)).map(|node| node.stage.clone());
        let parent_stale = matches!(of_parent, Some(Stage::Finished { stale: true, .. }));
        let node = self.nodes.get_mut(&shard)?;
        let Stage::Waiting { begun } = &node.stage else { return None };
        let from = match begun {
            // The service itself says whether what follows this record was trimmed.
            Some(Begun { position: Some(position), .. }) => Some(ReadFrom::After(position.clone())),
            Some(Begun { position: None, stale }) => (!stale).then_some(ReadFrom::Beginning),
            None if is_root => Some(ReadFrom::Oldest),
            None => (!parent_stale).then_some(ReadFrom::Beginning),
        };
        let Some(from) = from else {
            node.stage = Stage::Gapped;
            return Some(Command::Gap { shard, kind: GapKind::Unread });
        };
        node.stage = Stage::Reading;
        Some(Command::Start { shard, parent, from })
    }

    /// Finished leaves out of the state table, whose children have not been seen yet.
    fn searches_to_resume(&mut self) -> Vec<Command> {
        let parents: HashSet<ShardId> = self.nodes.values().filter_map(|node| node.parent.clone()).collect();
        let mut commands = Vec::new();
        for (id, node) in &mut self.nodes {
            if let Stage::Finished { search, .. } = &mut node.stage
                && *search != Search::Over
            {
                if parents.contains(id) {
                    *search = Search::Over;
                } else {
                    commands.push(Command::SeekChildren { parent: id.clone(), attempt: 0 });
                }
            }
        }
        commands
    }
}

// === impl Node ===

impl Node {
    fn waiting(parent: Option<ShardId>) -> Node {
        Node { parent, stage: Stage::Waiting { begun: None }, absent: 0, orphaned: 0, shown: false, in_scope: false }
    }

    fn in_scope_for(&self, until: Until) -> bool {
        until == Until::Stopped || self.in_scope
    }
}

// === impl Search ===

impl Search {
    const OPEN: Search = Search::Open { attempts: 0, found: 0 };
}

#[cfg(test)]
mod tests;
