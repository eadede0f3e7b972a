//! Which worker reads which shard. Every worker computes this from what it reads, and takes its own part.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use streamdex_dynamodb::stream::ShardId;

use super::{Holder, Member, WorkerId};

/// What one worker is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Leases to claim.
    pub claim: Vec<ShardId>,
    /// Leases to give back, so that another worker claims them.
    pub release: Vec<ShardId>,
}

/// Leases that move in one refresh for the sake of balance, over all workers.
const MOVES: usize = 4;

/// The part of `me`.
///
/// A lease is free where nobody owns it, or where its owner is no longer among the `members`. Free leases go
/// to the worker with the fewest, the youngest first among equals: in a rolling deployment that starts new
/// workers before it stops old ones, each lease moves once, and to a worker that stays. Finished shards are
/// no load (`weighs` is false), but somebody has to look for their children. Where the members are `settled`,
/// leases move from the worker with the most to the one with the fewest until they differ by one at most.
pub fn plan<'a>(
    me: &WorkerId,
    members: &[Member],
    leases: impl Iterator<Item = (&'a ShardId, &'a Holder, bool)>,
    settled: bool,
) -> Plan {
    let mut loads: BTreeMap<&WorkerId, Load<'_>> =
        members.iter().map(|member| (&member.id, Load { member, leases: Vec::new(), light: 0 })).collect();
    let mut plan = Plan::default();
    if !loads.contains_key(me) {
        return plan;
    }
    let mut free = Vec::new();
    for (shard, holder, weighs) in leases {
        match holder.owner.as_ref().and_then(|owner| loads.get_mut(owner)) {
            Some(load) if weighs => load.leases.push(shard),
            Some(load) => load.light += 1,
            None => free.push((shard, weighs)),
        }
    }
    free.sort();
    for (shard, weighs) in free {
        let Some(load) = loads.values_mut().min_by_key(|load| load.rank(weighs)) else { break };
        if weighs {
            load.leases.push(shard);
        } else {
            load.light += 1;
        }
        if load.member.id == *me {
            plan.claim.push(shard.clone());
        }
    }
    if settled && plan.claim.is_empty() {
        plan.release = moves(me, &mut loads);
    }
    plan
}

fn moves(me: &WorkerId, loads: &mut BTreeMap<&WorkerId, Load<'_>>) -> Vec<ShardId> {
    let mut mine = Vec::new();
    for _ in 0..MOVES {
        let most = loads.values().max_by_key(|load| load.rank(true)).map(|load| (&load.member.id, load.leases.len()));
        let least = loads.values().min_by_key(|load| load.rank(true)).map(|load| (&load.member.id, load.leases.len()));
        let (Some((from, most)), Some((to, least))) = (most, least) else { break };
        if most < least + 2 {
            break;
        }
        let Some(shard) = loads.get_mut(from).and_then(|load| load.leases.pop()) else { break };
        if from == me {
            mine.push(shard.clone());
        }
        if let Some(load) = loads.get_mut(to) {
            load.leases.push(shard);
        }
    }
    mine
}

struct Load<'a> {
    member: &'a Member,
    leases: Vec<&'a ShardId>,
    /// Finished shards.
    light: usize,
}

impl<'a> Load<'a> {
    fn rank(&self, weighs: bool) -> (usize, Reverse<u64>, &'a WorkerId) {
        let load = if weighs { self.leases.len() } else { self.leases.len() + self.light };
        (load, Reverse(self.member.started), &self.member.id)
    }
}

#[cfg(test)]
mod tests;
