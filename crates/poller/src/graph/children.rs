//! The search for the children of a drained shard.

use streamdex_dynamodb::stream::{ListedShard, ShardId};

use super::command::Command;
use super::search::{ASK_FOR_A_LISTING, Search};
use super::{Node, ShardGraph, Stage};
use crate::gap::GapKind;

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    ByName,
    InPassing,
}

impl ShardGraph {
    /// The answer to [`Command::SeekChildren`]; shards of other parents are passed over.
    pub fn children(&mut self, parent: &ShardId, shards: &[ListedShard]) -> Vec<Command> {
        let children: Vec<&ListedShard> = shards.iter().filter(|shard| shard.parent.as_ref() == Some(parent)).collect();
        self.found(parent, &children, Asked::ByName)
    }

    /// The item of a shard is stored, as [`Command::Store`] asked for: it is read where its parent is drained, which
    /// is done where this was its last child.
    pub fn stored(&mut self, shard: &ShardId) -> Vec<Command> {
        if self.stage(shard) == Some(&Stage::Storing) {
            self.set(shard, Stage::Stored);
        }
        let mut commands = self.read_if_ready(shard);
        if let Some(parent) = self.nodes.get(shard).and_then(|node| node.parent.clone()) {
            commands.extend(self.finish_search(&parent));
        }
        commands
    }

    /// The shard is noted as done, as [`Command::Done`] asked for.
    pub fn done(&mut self, shard: &ShardId) {
        if let Some(Stage::Drained { stale, .. }) = self.stage(shard) {
            let stale = *stale;
            self.set(shard, Stage::Done { stale });
        }
    }

    /// Takes children in, out of an answer or a listing.
    pub(super) fn found(&mut self, parent: &ShardId, children: &[&ListedShard], asked: Asked) -> Vec<Command> {
        let Some(node) = self.nodes.get(parent) else { return Vec::new() };
        let in_scope = node.in_scope;
        let Stage::Drained { mut search, stale } = node.stage else { return Vec::new() };
        let mut commands = Vec::new();
        for shard in children {
            let node = self.nodes.entry(shard.id.clone()).or_insert_with(|| Node::waiting(Some(parent.clone())));
            (node.shown, node.absent) = (true, 0);
            node.in_scope |= in_scope;
            // What is done does not say where it came from.
            node.parent.get_or_insert_with(|| parent.clone());
            self.heirs.entry(parent.clone()).or_default().insert(shard.id.clone());
            if node.stage != Stage::Waiting {
                continue;
            }
            if stale {
                // Their first records may be trimmed.
                self.gapped(&shard.id);
                commands.push(Command::Gap { shard: shard.id.clone(), kind: GapKind::Unread });
            } else {
                self.set(&shard.id, Stage::Storing);
                commands.push(Command::Store { shard: shard.id.clone(), parent: Some(parent.clone()) });
            }
        }
        if asked == Asked::ByName {
            search.attempts += 1;
            search.found += u32::from(!children.is_empty());
            if search.found == 0 && search.attempts == ASK_FOR_A_LISTING {
                commands.push(Command::ListAgain);
            }
            if !search.is_over(self.until) {
                commands.push(Command::SeekChildren { parent: parent.clone(), attempt: search.attempts });
            }
        }
        self.keep(parent, search);
        commands.extend(self.finish_search(parent));
        commands
    }

    /// A shard is done when the search is complete and every child that was found has its item.
    fn finish_search(&mut self, parent: &ShardId) -> Vec<Command> {
        let Some(Stage::Drained { search, .. }) = self.stage(parent) else { return Vec::new() };
        let search = *search;
        if search.noted || !search.is_complete() {
            return Vec::new();
        }
        let children: Vec<ShardId> = self.heirs.get(parent).into_iter().flatten().cloned().collect();
        let has_no_item = |child: &ShardId| matches!(self.stage(child), Some(Stage::Waiting | Stage::Storing));
        if children.iter().any(has_no_item) {
            return Vec::new();
        }
        self.keep(parent, Search { noted: true, ..search });
        vec![Command::Done { shard: parent.clone(), children }]
    }

    fn keep(&mut self, parent: &ShardId, search: Search) {
        if let Some(Stage::Drained { search: kept, .. }) = self.nodes.get_mut(parent).map(|node| &mut node.stage) {
            *kept = search;
        }
    }
}
