//! Evaluates a complete listing of the stream.

use std::collections::{BTreeMap, BTreeSet};

use streamdex_dynamodb::stream::{ListedShard, ShardId};

use super::children::Asked;
use super::{Command, Node, ShardGraph, Stage};
use crate::gap::GapKind;

/// So many listings must agree before absence means anything. They are made over a quarter of a minute at least: see
/// [`Command::ListAgain`].
pub(super) const AGREEING_LISTINGS: u32 = 5;

impl ShardGraph {
    /// A complete listing of the stream's shards.
    pub fn listed(&mut self, shards: &[ListedShard]) -> Vec<Command> {
        let first = !self.listed_before;
        self.listed_before = true;
        for node in self.nodes.values_mut() {
            node.shown = false;
        }
        for shard in shards {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(shard.parent.clone()));
            (node.shown, node.absent) = (true, 0);
            node.parent = node.parent.take().or_else(|| shard.parent.clone());
        }
        self.know_heirs();
        self.skip_what_lies_before_the_roots();
        if first {
            for node in self.nodes.values_mut() {
                node.in_scope = true;
            }
        }
        self.spread_scope();
        let mut commands = self.judge_absence();
        commands.extend(self.children_in_passing(shards));
        commands.extend(self.advance());
        commands
    }

    fn know_heirs(&mut self) {
        self.heirs.clear();
        for (id, node) in &self.nodes {
            if let Some(parent) = &node.parent {
                self.heirs.entry(parent.clone()).or_default().insert(id.clone());
            }
        }
    }

    fn skip_what_lies_before_the_roots(&mut self) {
        let earlier = self.roots.iter().chain(&self.before).filter_map(|shard| self.nodes.get(shard)?.parent.clone());
        let mut before: Vec<ShardId> = earlier.collect();
        while let Some(id) = before.pop() {
            if !self.roots.contains(&id) && self.before.insert(id.clone()) {
                before.extend(self.nodes.get(&id).and_then(|node| node.parent.clone()));
            }
        }
        for id in &self.before {
            if let Some(node) = self.nodes.get_mut(id).filter(|node| node.stage == Stage::Waiting) {
                node.stage = Stage::Done { stale: false };
            }
        }
    }

    /// Descendants of what was listed at first are in scope too, however they were found.
    fn spread_scope(&mut self) {
        let mut heirs: BTreeMap<ShardId, Vec<ShardId>> = BTreeMap::new();
        for (id, node) in self.nodes.iter().filter(|(_, node)| !node.in_scope) {
            if let Some(parent) = &node.parent {
                heirs.entry(parent.clone()).or_default().push(id.clone());
            }
        }
        let in_scope = |id: &&ShardId| self.nodes.get(*id).is_some_and(|node| node.in_scope);
        let mut next: Vec<ShardId> = heirs.keys().filter(in_scope).cloned().collect();
        while let Some(parent) = next.pop() {
            for heir in heirs.remove(&parent).unwrap_or_default() {
                if let Some(node) = self.nodes.get_mut(&heir) {
                    node.in_scope = true;
                }
                next.push(heir);
            }
        }
    }

    fn judge_absence(&mut self) -> Vec<Command> {
        let known: BTreeSet<ShardId> = self.nodes.keys().cloned().collect();
        let blocked = self.blocked();
        let mut commands = Vec::new();
        let mut doubt = false;
        for (id, node) in &mut self.nodes {
            node.absent = if node.shown { 0 } else { node.absent.saturating_add(1) };
            // The reader of a shard with an item learns from the service when the shard is gone. What comes after a gap
            // belongs to it.
            if node.stage != Stage::Waiting || blocked.contains(id) {
                continue;
            }
            let is_root = self.roots.contains(id);
            let orphan = !is_root && node.parent.as_ref().is_some_and(|parent| !known.contains(parent));
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
        self.forget_what_is_trimmed(&blocked);
        commands
    }

    /// Shards that were read leave the listing after a day, and so do those after a gap. A shard that something still
    /// waits for is kept here.
    fn forget_what_is_trimmed(&mut self, blocked: &BTreeSet<ShardId>) {
        let awaited: BTreeSet<ShardId> = self
            .nodes
            .values()
            .filter(|node| node.stage == Stage::Waiting)
            .filter_map(|node| node.parent.clone())
            .collect();
        self.nodes.retain(|id, node| {
            // One that is drained and not done is a duty for as long as it has no children.
            let is_read = matches!(node.stage, Stage::Done { .. });
            let is_behind_a_gap = node.stage == Stage::Waiting && blocked.contains(id);
            !(is_read || is_behind_a_gap) || node.absent < AGREEING_LISTINGS || awaited.contains(id)
        });
    }

    /// Children of the shards that were drained here, seen in a listing.
    fn children_in_passing(&mut self, shards: &[ListedShard]) -> Vec<Command> {
        let mut families: BTreeMap<&ShardId, Vec<&ListedShard>> = BTreeMap::new();
        for shard in shards {
            if let Some(parent) = &shard.parent {
                families.entry(parent).or_default().push(shard);
            }
        }
        families.iter().flat_map(|(parent, children)| self.found(parent, children, Asked::InPassing)).collect()
    }

    /// Asks for an item for whatever may be read now, and for the reading of what has one.
    pub(super) fn advance(&mut self) -> Vec<Command> {
        let ready: Vec<ShardId> =
            self.nodes.iter().filter(|(id, node)| self.may_be_stored(id, node)).map(|(id, _)| id.clone()).collect();
        let mut commands: Vec<Command> = ready.into_iter().filter_map(|id| self.store(id)).collect();
        let stored: Vec<ShardId> =
            self.nodes.iter().filter(|(_, node)| node.stage == Stage::Stored).map(|(id, _)| id.clone()).collect();
        commands.extend(stored.iter().flat_map(|id| self.read_if_ready(id)));
        commands
    }

    fn may_be_stored(&self, id: &ShardId, node: &Node) -> bool {
        node.stage == Stage::Waiting && node.shown && self.is_in_scope(node) && self.is_parent_drained(id, node)
    }

    fn store(&mut self, shard: ShardId) -> Option<Command> {
        let parent = self.nodes.get(&shard)?.parent.clone();
        let of_parent = parent.as_ref().and_then(|parent| self.stage(parent));
        let is_stale = matches!(of_parent, Some(Stage::Drained { stale: true, .. } | Stage::Done { stale: true }));
        if is_stale && !self.is_root(&shard) {
            self.set(&shard, Stage::Gapped);
            return Some(Command::Gap { shard, kind: GapKind::Unread });
        }
        self.set(&shard, Stage::Storing);
        Some(Command::Store { shard, parent })
    }
}
