//! What a complete listing of the stream means.

use std::collections::BTreeSet;

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

    fn skip_what_lies_before_the_roots(&mut self) {
        let earlier = self.roots.iter().chain(&self.before).filter_map(|shard| self.nodes.get(shard)?.parent.clone());
        let mut before: Vec<ShardId> = earlier.collect();
        while let Some(id) = before.pop() {
            if !self.roots.contains(&id) && self.before.insert(id.clone()) {
                before.extend(self.nodes.get(&id).and_then(|node| node.parent.clone()));
            }
        }
        for (_, node) in self.nodes.iter_mut().filter(|(id, _)| self.before.contains(*id)) {
            if node.stage == Stage::Waiting {
                node.stage = Stage::Done { search: None, stale: false };
            }
        }
    }

    /// Descendants of what was listed at first are in scope too, however they were found.
    pub(super) fn spread_scope(&mut self) {
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
        let known: BTreeSet<ShardId> = self.nodes.keys().cloned().collect();
        let mut commands = Vec::new();
        let mut doubt = false;
        for (id, node) in &mut self.nodes {
            node.absent = if node.shown { 0 } else { node.absent.saturating_add(1) };
            // The reader of a shard with an item learns from the service when the shard is gone.
            if node.stage != Stage::Waiting {
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
        self.forget_what_is_trimmed();
        commands
    }

    /// Finished shards leave the listing after a day; whoever still waits for one keeps it here.
    fn forget_what_is_trimmed(&mut self) {
        let awaited: BTreeSet<ShardId> = self
            .nodes
            .values()
            .filter(|node| node.stage == Stage::Waiting)
            .filter_map(|node| node.parent.clone())
            .collect();
        self.nodes.retain(|id, node| {
            let finished = matches!(node.stage, Stage::Finished { .. } | Stage::Done { .. });
            !finished || node.absent < AGREEING_LISTINGS || awaited.contains(id)
        });
    }

    /// Children of the shards that this worker drained, seen in a listing.
    fn children_in_passing(&mut self, shards: &[ListedShard]) -> Vec<Command> {
        let parents: BTreeSet<ShardId> = shards.iter().filter_map(|shard| shard.parent.clone()).collect();
        parents.iter().flat_map(|parent| self.found(parent, shards, Asked::InPassing)).collect()
    }

    /// Offers whatever may be read now.
    fn advance(&mut self) -> Vec<Command> {
        let ready: Vec<ShardId> =
            self.nodes.iter().filter(|(id, node)| self.may_be_offered(id, node)).map(|(id, _)| id.clone()).collect();
        ready.into_iter().filter_map(|id| self.offer(id)).collect()
    }

    fn may_be_offered(&self, id: &ShardId, node: &Node) -> bool {
        if node.stage != Stage::Waiting || !node.shown || !self.is_in_scope(node) {
            return false;
        }
        match &node.parent {
            _ if self.roots.contains(id) => true,
            None => true,
            // Children of a shard that is drained and not done yet are its reader's to start. Where they may
            // be trimmed already, that is a gap, and for all to see.
            Some(parent) => {
                matches!(self.stage(parent), Some(Stage::Done { .. } | Stage::Finished { stale: true, .. }))
            }
        }
    }

    fn offer(&mut self, shard: ShardId) -> Option<Command> {
        let parent = self.nodes.get(&shard)?.parent.clone();
        let of_parent = parent.as_ref().and_then(|parent| self.stage(parent));
        if matches!(of_parent, Some(Stage::Finished { stale: true, .. } | Stage::Done { stale: true, .. })) {
            self.set(&shard, Stage::Gapped);
            return Some(Command::Gap { shard, kind: GapKind::Unread });
        }
        self.set(&shard, Stage::Offered);
        Some(Command::Offer { shard, parent })
    }
}
