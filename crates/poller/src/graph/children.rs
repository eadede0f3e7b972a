//! The search for the children of a drained shard.

use streamdex_dynamodb::stream::{ListedShard, ShardId};

use super::command::Command;
use super::search::{LOOK_AROUND, Search};
use super::{Node, ShardGraph, Stage};
use crate::gap::GapKind;

impl ShardGraph {
    /// The answer to [`Command::SeekChildren`]; shards of other parents are passed over.
    pub fn children(&mut self, parent: &ShardId, shards: &[ListedShard]) -> Vec<Command> {
        self.found(parent, shards, Asked::ByName)
    }

    /// The parent is done and its children have items, as [`Command::Succeed`] asked for.
    ///
    /// Children that were found while that was written are offered now.
    pub fn succeeded(&mut self, parent: &ShardId, children: &[ShardId]) -> Vec<Command> {
        if let Some(Stage::Finished { search, .. }) = self.stage(parent) {
            let search = *search;
            self.set(parent, Stage::Done { search, stale: false });
        }
        for child in children {
            self.set(child, Stage::Leased);
        }
        let is_late = |node: &Node| node.stage == Stage::Waiting && node.shown && node.parent.as_ref() == Some(parent);
        let late = self.nodes.iter().filter(|(_, node)| is_late(node)).map(|(id, _)| id.clone());
        self.offer_children(parent, late.collect())
    }

    fn offer_children(&mut self, parent: &ShardId, children: Vec<ShardId>) -> Vec<Command> {
        let offer = |shard: ShardId| {
            self.set(&shard, Stage::Offered);
            Command::Offer { shard, parent: Some(parent.clone()) }
        };
        children.into_iter().map(offer).collect()
    }

    /// Takes children in, out of an answer or a listing.
    pub(super) fn found(&mut self, parent: &ShardId, shards: &[ListedShard], asked: Asked) -> Vec<Command> {
        let Some(node) = self.nodes.get(parent) else { return Vec::new() };
        let (in_scope, done) = (node.in_scope, matches!(node.stage, Stage::Done { .. }));
        let is_stale = matches!(node.stage, Stage::Finished { stale: true, .. } | Stage::Done { stale: true, .. });
        let (Stage::Finished { search: Some(search), .. } | Stage::Done { search: Some(search), .. }) = node.stage
        else {
            return Vec::new();
        };
        let mut fresh = Vec::new();
        let mut any = false;
        for shard in shards.iter().filter(|shard| shard.parent.as_ref() == Some(parent)) {
            any = true;
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(Some(parent.clone())));
            (node.shown, node.absent) = (true, 0);
            node.in_scope |= in_scope;
            if node.stage == Stage::Waiting {
                fresh.push(shard.id.clone());
            }
        }
        let by_name = asked == Asked::ByName;
        let mut search = Search {
            attempts: search.attempts + u32::from(by_name),
            found: search.found + u32::from(any && by_name),
            ..search
        };
        let mut commands = Vec::new();
        if is_stale {
            // Their first records may be trimmed.
            for shard in fresh {
                self.gapped(&shard);
                commands.push(Command::Gap { shard, kind: GapKind::Unread });
            }
        } else if done {
            // The other half of a split, shown late.
            commands.extend(self.offer_children(parent, fresh));
        } else if !fresh.is_empty() && !search.succeeding {
            for child in &fresh {
                self.set(child, Stage::Offered);
            }
            (search.noted, search.succeeding) = (true, true);
            commands.push(Command::Succeed { parent: parent.clone(), children: fresh });
        } else if !search.noted && by_name {
            search.noted = true;
            commands.push(Command::Finish { shard: parent.clone() });
        }
        if by_name && search.found == 0 && search.attempts == LOOK_AROUND {
            commands.push(Command::ListAgain);
        }
        if by_name && !search.is_over(self.until) {
            commands.push(Command::SeekChildren { parent: parent.clone(), attempt: search.attempts });
        }
        self.keep(parent, search);
        commands
    }

    fn keep(&mut self, parent: &ShardId, search: Search) {
        let stage = self.nodes.get_mut(parent).map(|node| &mut node.stage);
        if let Some(Stage::Finished { search: kept, .. } | Stage::Done { search: kept, .. }) = stage {
            *kept = Some(search);
        }
    }
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    ByName,
    InPassing,
}
